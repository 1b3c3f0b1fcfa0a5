"""Operators of ONNX as steps of a graph."""
