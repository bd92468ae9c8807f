stage "search" "net" {
  rounds = 3
}

stage "calibrate" "raptor" {
}

output "nothing" {
}

variable "v" {
  default = 1
  validation {
    condition = true
  }
}
