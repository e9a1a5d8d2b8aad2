"""scikit-learn's tools around fastnn: a pipeline, a search over networks in cross-validation, and what the network is sure of."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnn.sklearn import MLPClassifier

data, target = map(np.asarray, load_breast_cancer(return_X_y=True))
kinds = np.where(target == 0, "malignant", "benign")
x, x_test, y, y_test = train_test_split(data, kinds, stratify=kinds, random_state=0)

net = MLPClassifier(max_iter=300, early_stopping=True, n_iter_no_change=30, class_weight="balanced", random_state=0)
model = make_pipeline(StandardScaler(), net)
settings = {"mlpclassifier__hidden_layer_sizes": [(16,), (32, 32)], "mlpclassifier__dropout": [0.1, 0.3]}
search = GridSearchCV(model, settings, cv=3).fit(x, y)
for name, value in search.best_params_.items():
    print(f"{name.removeprefix('mlpclassifier__')}: {value}")
print(f"accuracy on new samples: {search.score(x_test, y_test):.3f}")

scaler, best = search.best_estimator_
mean, std = best.predict_proba(scaler.transform(x_test), return_std=True)  # with dropout at work
wrong = best.classes_[mean.argmax(axis=1)] != y_test
print(f"spread of the probability: {std[~wrong, 0].mean():.3f} where right, {std[wrong, 0].mean():.3f} where wrong")
most = np.argmax(std[:, 0])
print(f"least sure of sample {most}: {best.classes_[0]} with {mean[most, 0]:.2f} +- {std[most, 0]:.2f}, in truth {y_test[most]}")
