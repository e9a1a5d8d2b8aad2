// A formula of the contract. The spec has it in postfix notation: names, integers and + - * /.
#pragma once
#include <stdexcept>
#include <string>
#include <vector>

#include "core/kernels.h"

namespace fastnn {

class Formula {
 public:
  // slot_of: maps a name to the slot of the call that holds its value.
  template <class SlotOf>
  Formula(const std::vector<std::string>& code, SlotOf slot_of) {
    for (const std::string& word : code) {
      const char c = word[0];
      if (word.size() == 1 && std::string("+-*/").find(c) != std::string::npos)
        steps_.push_back({c, 0});
      else if (c >= '0' && c <= '9')
        steps_.push_back({'n', std::stoll(word)});
      else
        steps_.push_back({'s', slot_of(word)});
    }
  }

  // Throws std::domain_error for a division by 0. Sums and products wrap around.
  i64 operator()(const u64* slots) const {
    std::vector<i64> stack;
    for (const Step& s : steps_) {
      if (s.kind == 'n' || s.kind == 's') {
        stack.push_back(s.kind == 'n' ? s.value : (i64)slots[s.value]);
        continue;
      }
      const i64 right = stack.back();
      stack.pop_back();
      stack.back() = apply(s.kind, stack.back(), right);
    }
    return stack.back();
  }

 private:
  struct Step {
    char kind;  // an operator, 'n' for a number, or 's' for the number in a slot
    i64 value;
  };

  static i64 apply(char op, i64 left, i64 right) {
    if (op == '+') return (i64)((u64)left + (u64)right);
    if (op == '-') return (i64)((u64)left - (u64)right);
    if (op == '*') return (i64)((u64)left * (u64)right);
    if (right == 0) throw std::domain_error("division by 0");
    if (right == -1) return (i64)(0 - (u64)left);
    const i64 quotient = left / right;
    return quotient - (left % right != 0 && (left < 0) != (right < 0));  // rounds down
  }

  std::vector<Step> steps_;
};

}  // namespace fastnn
