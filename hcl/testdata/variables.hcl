variable "none" {
}

variable "kind" {
  type    = number
  default = "x"
}

variable "type" {
  type    = strng
  default = 1
}

variable "checked" {
  default = 0
  validation {
    condition     = var.checked > 0
    error_message = "It must be positive, not ${var.checked}."
  }
}

variable "refers" {
  default = var.kind
}

variable "extra" {
  default   = 1
  sensitive = "yes"
  colour    = 1
}

variable "object" {
  type    = object({ a = number, b = optional(string, "x") })
  default = { a = "y" }
}

stage "table" "t" {
  any = [var.none, var.kind, var.checked, var.object]
}
