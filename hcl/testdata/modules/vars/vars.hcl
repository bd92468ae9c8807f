variable "when" { default = true }
