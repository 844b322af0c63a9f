#!/bin/bash
# Predict a table in 16 parts: sbatch configs/slurm/predict.sh RUN CASES.csv OUT.csv
# A part that is stopped continues after its last saved row; docs/predict.md joins the parts.
#SBATCH --array=1-16
#SBATCH --gpus-per-task=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue

srun agfnet predict "$1" --cases "$2" --out "$3" \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --on-error skip
