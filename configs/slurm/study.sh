#!/bin/bash
# Execute the runs of a study in 8 jobs, and then write its tables:
#   job=$(sbatch --parsable configs/slurm/study.sh STUDY.yaml)
#   sbatch --dependency=afterok:$job --wrap "agfnet study STUDY.yaml"
#SBATCH --array=1-8
#SBATCH --gpus-per-task=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append

srun agfnet study "$1" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
  --cpus "$SLURM_CPUS_PER_TASK"
code=$?
if [ $code -eq 75 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
