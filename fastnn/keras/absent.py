"""Names of Keras that fastnn lacks, with what to do instead, for errors."""

from __future__ import annotations

_PICTURES = "fastnn has the layers RandomFlip, RandomRotation, RandomZoom, RandomTranslation, RandomCrop, RandomContrast and kin"
_SPECTRUM = "compute it with scipy.signal, before the model"
_BACKEND = "it belongs to another backend of Keras; fastnn.from_torch and fastnn.from_keras convert models"

LAYERS = {
    **dict.fromkeys(
        [
            "AugMix",
            "AutoContrast",
            "ContrastLimitedAdaptiveHistogramEqualization",
            "CutMix",
            "Equalization",
            "RandAugment",
            "RandomColorDegeneration",
            "RandomColorJitter",
            "RandomElasticTransform",
            "RandomGaussianBlur",
            "RandomGrayscale",
            "RandomHue",
            "RandomInvert",
            "RandomPerspective",
            "RandomPosterization",
            "RandomSaturation",
            "RandomSharpness",
            "RandomShear",
            "Solarization",
        ],
        _PICTURES,
    ),
    **dict.fromkeys(("MelSpectrogram", "STFTSpectrogram"), _SPECTRUM),
    **dict.fromkeys(("FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"), _BACKEND),
    "EinsumDense": "use Dense, or fastnn.einsum in a layer of your own",
    **dict.fromkeys(
        [f"Adaptive{kind}Pooling{n}D" for kind in ("Average", "Max") for n in (1, 2, 3)],
        "fastnn.nn has AdaptiveAvgPool2d and kin, for pictures with channels first; or use GlobalAveragePooling2D and kin",
    ),
    "UnitNormalization": "use layers.Activation with a function that divides by fastnn.linalg.vector_norm",
    "Discretization": "use numpy.digitize or fastnn.bucketize before the model",
    "Hashing": "use StringLookup or IntegerLookup, whose ids do not collide",
    "HashedCrossing": "join the texts of the columns, and use StringLookup",
    "CenterCrop": "cut the arrays before the model, x[:, a:b, c:d], or use Cropping2D",
    "Resizing": "resize pictures as they are read, fastnn.datasets.images(folder, size), or use UpSampling2D",
    "ConvLSTM1D": "use TimeDistributed(Conv1D(...)) and LSTM",
    "ConvLSTM2D": "use TimeDistributed(Conv2D(...)) and LSTM",
    "ConvLSTM3D": "use TimeDistributed(Conv3D(...)) and LSTM",
    "CuDNNGRU": "use GRU",
    "CuDNNLSTM": "use LSTM",
    "DenseFeatures": "use fastnn.tables for columns of data frames",
    "Pipeline": "use Sequential",
    "SpectralNormalization": "use kernel_constraint, such as constraints.UnitNorm()",
    "ThresholdedReLU": "use layers.Activation(lambda x: fastnn.threshold(x, 1.0, 0.0))",
    "Wrapper": "derive from keras.layers.Layer, and set the inner layer as an attribute",
}
OPTIMIZERS = {
    "Adafactor": "use Adam or AdamW",
    "Ftrl": "use Adagrad, with kernel_regularizer=L1(...) for its l1_regularization_strength",
    "Lamb": "use AdamW with global_clipnorm",
    "MultiOptimizer": "use groups of parameters: fastnn.optim.Adam([{'params': a, 'lr': 0.1}, {'params': b}])",
    "ScheduleFreeAdamW": "it is fastnn.optim.AdamWScheduleFree",
    "legacy": "the optimizers are in keras.optimizers",
    "experimental": "the optimizers are in keras.optimizers",
}
CALLBACKS = {
    "RemoteMonitor": "write a callback that sends its logs, or use CSVLogger",
    "OrbaxCheckpoint": "use ModelCheckpoint or BackupAndRestore",
}
INITIALIZERS = dict.fromkeys(("STFT", "STFTInitializer", "stft"), _SPECTRUM)
RANDOM = {
    "beta": "use fastnn.distributions or NumPy",
    "binomial": "use NumPy's generator",
    "gamma": "use fastnn.distributions or NumPy",
}
UTILS = {
    "Progbar": "fit shows a bar itself; in loops of your own print the numbers",
    "split_dataset": "use validation_split of fit, fastnn.utils.data.random_split, or slices of the arrays",
    "serialize_keras_object": "use model.to_json, or get_config of the object",
    "deserialize_keras_object": "use keras.models.model_from_json, or from_config of the class",
    "CustomObjectScope": "pass custom_objects to load_model, or register the class",
    "custom_object_scope": "pass custom_objects to load_model, or register the class",
    "get_custom_objects": "register classes by keras.saving.register_keras_serializable",
    "FeatureSpace": "use fastnn.tables for columns of data frames",
    "audio_dataset_from_directory": "read the files into arrays with scipy.io.wavfile",
    "multi_gpu_model": "fastnn trains on one device",
    "model_to_dot": "use plot_model, which needs Matplotlib and not Graphviz",
}
SAVING = {
    **{name: UTILS[name] for name in UTILS if "object" in name.lower()},
    "KerasFileEditor": "load the model and change it, or read its arrays by fastnn.from_keras",
}
CONFIG = {
    "enable_unsafe_deserialization": "fastnn never runs code of a file",
    "set_backend": "fastnn.set_backend selects the kernels: 'cpp', 'numba' or 'cupy'",
}
BACKEND = {
    "get_session": "fastnn has no sessions",
    "set_value": "use assign of a weight, or optimizer.learning_rate = ...",
}
PREPROCESSING = {
    "text": "its Tokenizer is replaced by layers.TextVectorization and fastnn.text.WordTokenizer",
    "text_dataset_from_directory": "read the files into a list of strings, and use layers.TextVectorization",
}
UTILS["text_dataset_from_directory"] = PREPROCESSING["text_dataset_from_directory"]
TOP = {
    "distribution": "fastnn trains on one device",
    "device": "fastnn.set_backend('cupy') selects the GPU",
    "estimator": "fastnn.sklearn has estimators",
    "experimental": "it is gone in Keras 3",
    "export": "use model.export(path), which writes ONNX",
    "name_scope": "layers have names, name=",
    "quantizers": "fastnn has no quantization",
    "remat": "fastnn keeps what the backward pass needs",
    "tree": "lists, tuples and dicts of inputs need no helper",
    "wrappers": "fastnn.sklearn has estimators with scikit-learn's interface",
}
