"""Everything that is fitted on the validation split: scaling, prediction sets, abstention, OOD."""
