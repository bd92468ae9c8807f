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
