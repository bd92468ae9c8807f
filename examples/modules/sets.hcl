# One search on several data sets: what is done for a set is written once, in search/, and used for each of them
# by for_each. A module's steps are named as module.search["first"].supernet; runner run --target module.search["first"]
# does what one of them needs.
#
#   runner run examples/modules/sets.hcl

variable "epochs" {
  description = "Passes over each set's training images."
  type        = number
  default     = 2
}

locals {
  # TinyRAPTOR with a memory that is small for these networks, as the real one is for ImageNet's.
  platform = { preset = "tinyraptor", name = "TinyRAPTOR, 12 KiB", memory = "12KiB", weight_limit = "8KiB" }
}

# The data stays here: a module takes it as it takes anything, as the output of another step.
stage "dataset" "shapes" {
  for_each = { first = 1, second = 2 }
  source   = "shapes"
  size     = 32
  train    = 3000
  test     = 1000
  seed     = each.value
}

module "search" {
  source   = "./search"
  for_each = stage.shapes

  dataset  = each.value.dataset
  classes  = 12
  platform = local.platform
  epochs   = var.epochs
  limits   = { "2ms" = "2ms", "4ms" = "4ms" }
}

stage "table" "found" {
  title = "Subnets found on two sets of images"
  rows = flatten([for set, m in module.search : [for limit, best in m.best : {
    set     = set
    limit   = limit
    network = best
  }]])
  columns = [
    { key = "set" },
    { key = "limit", title = "at most" },
    { key = "network.latency", title = "latency", unit = "ms", scale = 1000, format = "%.2f" },
    { key = "network.top1", title = "top-1", format = "percent", best = "max" },
  ]
  provenance = "legend"
}

output "table" {
  description = "The subnets of both sets, with what each number is."
  value       = stage.found.text
}

output "accuracy" {
  description = "The most accurate subnet's accuracy, by set."
  value       = { for set, m in module.search : set => max([for best in m.best : best.top1]...) }
}
