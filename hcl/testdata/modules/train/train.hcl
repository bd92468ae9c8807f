variable "name" {
  description = "What the network is called."
  type        = string
}

variable "rounds" {
  type    = number
  default = 10

  validation {
    condition     = var.rounds > 0
    error_message = "Search for a round at least."
  }
}

stage "search" "net" {
  platform = { name = var.name, memory = 1 }
  widths   = [2]
  limit    = { latency = 1 }
  rounds   = var.ronds
}

output "best" {
  value = stage.net.best
}
