variable "secret" {
  default   = "hunter2"
  sensitive = true
}

stage "calibrate" "c" {
  policy = var.secret
  seed   = var.secret
}

stage "table" "t" {
  for_each = toset([var.secret])
}

output "o" {
  value = { x = var.secret }
}

output "p" {
  value = tonumber(var.secret)
}

locals {
  key = var.secret
}

stage "table" "u" {
  any   = parseint(local.key, 10)
  title = [var.secret][3]
}

stage "table" "v" {
  for_each = { a = var.secret }
  any      = { for x in [1, 2] : each.value => x }
}

stage "search" "w" {
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit    = { latency = length(var.secret) / 10, energy = 1 }
}
