"""Keras's layers."""

from __future__ import annotations

from ..core.lazy import lazily as _lazily
from . import absent

_NAMES = {
    ".function": "Lambda",
    ".layer": "Layer",
    "..nn": (
        "Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D "
        "AveragePooling2D AveragePooling3D AvgPool1D=AveragePooling1D AvgPool2D=AveragePooling2D "
        "AvgPool3D=AveragePooling3D BatchNormalization Bidirectional Concatenate Conv1D Conv1DTranspose Conv2D "
        "Conv2DTranspose Conv3D Conv3DTranspose Convolution1D=Conv1D Convolution1DTranspose=Conv1DTranspose "
        "Convolution2D=Conv2D Convolution2DTranspose=Conv2DTranspose Convolution3D=Conv3D "
        "Convolution3DTranspose=Conv3DTranspose Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D DepthwiseConv2D Dot "
        "Dropout ELU Flatten GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D "
        "GlobalAveragePooling3D GlobalAvgPool1D=GlobalAveragePooling1D GlobalAvgPool2D=GlobalAveragePooling2D "
        "GlobalAvgPool3D=GlobalAveragePooling3D GlobalMaxPool1D=GlobalMaxPooling1D GlobalMaxPool2D=GlobalMaxPooling2D "
        "GlobalMaxPool3D=GlobalMaxPooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization "
        "GroupQueryAttention Identity Input InputSpec LayerNormalization Masking MaxPool1D=MaxPooling1D "
        "MaxPool2D=MaxPooling2D MaxPool3D=MaxPooling3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MixUp "
        "MultiHeadAttention Multiply Normalization Permute RMSNormalization RandomBrightness RandomContrast RandomCrop "
        "RandomErasing RandomFlip RandomRotation RandomTranslation RandomZoom RepeatVector Rescaling Reshape "
        "ReversibleEmbedding SeparableConv1D SeparableConv2D SeparableConvolution1D=SeparableConv1D "
        "SeparableConvolution2D=SeparableConv2D SimpleRNN SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D "
        "SpatialDropout3D StackedRNNCells Subtract TimeDistributed UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D "
        "ZeroPadding2D ZeroPadding3D"
    ),
    "..nn.layers.embedding": "Embedding",
    "..nn.layers.keras_activation": "LeakyReLU PReLU ReLU",
    "..nn.layers.recurrent": "GRU LSTM",
    "..nn.layers.recurrent_cells": "GRUCell LSTMCell",
    "..nn.layers.recurrent_layer": "RNN",
    ".inputs": "InputLayer",
    ".lookups": "CategoryEncoding IntegerLookup StringLookup TextVectorization",
    ".merging": "add average concatenate dot maximum minimum multiply subtract",
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__, absent.LAYERS)
