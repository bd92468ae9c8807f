executor "slurm" "gpu" { 
   takes = { gpus = 1 }
   partition = "gpu"
}
executor "local" "here" { steps = ["fetch"] }
executor "command" "lsf" {
  submit = ["bsub"]
  status = ["bjobs"]
  cancel = ["bkill"]
}
