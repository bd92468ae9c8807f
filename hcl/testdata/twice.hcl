variable "a" { default = 1 }
variable "a" { default = 2 }

locals {
  x = 1
}

locals {
  x = 2
}

stage "table" "t" {}
stage "calibrate" "t" { policy = "tiled" }

output "o" { value = 1 }
output "o" { value = 2 }

stage "table" "u" {
  for_each = { "70ms" = 1, "87ms" = 2, "70ms" = 3 }
}

stage "search" "s" {
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit    = { latency = 1 }
  limit {
    latency = 0.5
  }
}
