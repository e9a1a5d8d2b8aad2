// Products with one panel of b, for kernels that write a and the panels themselves.
#pragma once
#include "product/ukern.h"

namespace {
using fastnn::PanelProducts;

template <class T>
void panel_products(const PanelProducts<T>& p) {
  if (!p.m) return;
  const Cut rows = Cut::by(p.m, kGemm.rows[p.vectors]);
  const Ukern<T> small = pick_ukern<T>(rows.size, p.vectors, false);
  const Ukern<T> large = rows.extra ? pick_ukern<T>(rows.size + 1, p.vectors, false) : small;
  Tile<T> t = {};
  t.k = p.k;
  t.a_row = p.a_row;
  t.a_col = p.a_col;
  t.ldb = p.b_row ? p.b_row : p.vectors * kLanes<T>;
  t.ldc = p.c_row ? p.c_row : p.vectors * kLanes<T>;
  t.last = kLanes<T>;
  t.alpha = 1;
  t.beta = p.beta;
  for (i64 i = 0; i < p.count; i++) {
    t.b = p.b + i * p.b_step;
    for (i64 j = 0; j < rows.pieces; j++) {
      const i64 row = rows.begin(j);
      t.rows = rows.size + (j < rows.extra);
      t.a = p.a + i * p.a_step + row * t.a_row;
      t.c = p.c + i * p.c_step + row * t.ldc;
      (j < rows.extra ? large : small)(t);
    }
  }
}

}  // namespace
