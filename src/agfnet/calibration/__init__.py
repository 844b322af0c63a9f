"""Calibration on the validation split: scaling, prediction sets, abstention, OOD threshold."""
