# A control: do the supernet's shared weights rank subnets as training each alone does? Twelve subnets that a
# sample yields are trained alone, each for as many epochs as the supernet, and compared with what they
# reach with the supernet's weights. Ten minutes on two cores; figures are in docs/training.md.
#
#   bin/runner run examples/control.hcl

variable "data" {
  description = "Directory with Fashion-MNIST's four IDX files."
  type        = string
  default     = "../data/fashion-mnist"
}

variable "epochs" {
  description = "Passes over the training images, of the supernet and of each subnet alone."
  type        = number
  default     = 4
}

variable "subnets" {
  description = "How many subnets are trained alone."
  type        = number
  default     = 12
}

locals {
  space = {
    backbone = {
      input = 1
      stem  = { channels = 16, kernel = 3, stride = 1 }
      groups = [
        { t = 1, c = 8, n = 1, s = 1 },
        { t = 6, c = 8, n = 2, s = 2 },
        { t = 6, c = 24, n = 2, s = 2 },
        { t = 6, c = 40, n = 1, s = 1 },
      ]
      head    = 192
      classes = 10
    }
    widths      = [1, 1, 1, 1, 1, 1]
    resolutions = [20, 24, 28]
    expansions  = [3, 4, 6]
    depths      = [1, 2]
    kernels     = [3, 5]
  }
  rate     = 0.2
  holdout  = 4000
  platform = { preset = "tinyraptor" } # deploy-estimate wants one; only the accuracy is used here
}

stage "dataset" "fashion" {
  source = "fashion-mnist"
  path   = var.data
}

stage "train-supernet" "supernet" {
  dataset = stage.fashion.dataset
  space   = local.space
  epochs  = var.epochs
  rate    = local.rate
  warmup  = 0.2
  subnets = 1
  holdout = local.holdout
}

# Random subnets: those that the predictor is judged by.
stage "train-predictor" "sample" {
  supernet = stage.supernet.weights
  dataset  = stage.fashion.dataset
  holdout  = local.holdout
  samples  = 3 * var.subnets
  unseen   = 1 / 3
}

stage "train-supernet" "alone" {
  for_each = { for i in range(var.subnets) : "${i + 1}" => i }
  dataset  = stage.fashion.dataset
  space    = local.space
  phases = [{
    name   = "alone"
    rule   = "fixed"
    subnet = stage.sample.unseen[each.value].subnet
    epochs = var.epochs
    warmup = 0.2
  }]
  rate         = local.rate
  holdout      = local.holdout
  curve_images = 0
}

# Top-1 on the test images, with the shared weights and with those of its own.
stage "deploy-estimate" "shared" {
  for_each = { for i in range(var.subnets) : "${i + 1}" => i }
  network  = { space = local.space, subnet = stage.sample.unseen[each.value].subnet }
  platform = local.platform
  supernet = stage.supernet.weights
  dataset  = stage.fashion.dataset
  holdout  = local.holdout
  images   = 100
}

stage "deploy-estimate" "own" {
  for_each = { for i in range(var.subnets) : "${i + 1}" => i }
  network  = { space = local.space, subnet = stage.sample.unseen[each.value].subnet }
  platform = local.platform
  supernet = stage.alone[each.key].weights
  dataset  = stage.fashion.dataset
  holdout  = local.holdout
  images   = 100
}

locals {
  names  = [for i in range(var.subnets) : "${i + 1}"]
  shared = [for n in local.names : stage.shared[n].estimate.top1]
  own    = [for n in local.names : stage.own[n].estimate.top1]
  pairs = flatten([for i in range(var.subnets) : [for j in range(i) :
    signum(local.shared[i] - local.shared[j]) * signum(local.own[i] - local.own[j])
  ]])
}

stage "table" "control" {
  title = "Subnets with shared weights and with their own, Fashion-MNIST top-1"
  rows = [for i, n in local.names : {
    subnet     = n
    resolution = stage.shared[n].estimate.resolution
    macs       = stage.shared[n].estimate.macs
    shared     = local.shared[i]
    own        = local.own[i]
    lost       = local.own[i] - local.shared[i]
  }]
  columns = [
    { key = "subnet" },
    { key = "resolution", title = "R" },
    { key = "macs", title = "MACs (M)", scale = 1e-6, format = "%.2f" },
    { key = "shared", title = "shared weights", format = "percent" },
    { key = "own", title = "trained alone", format = "percent" },
    { key = "lost", title = "difference", format = "percent" },
  ]
}

output "kendall" {
  description = "Rank correlation of the accuracies with shared weights and alone: Kendall's τ."
  value       = sum(local.pairs) / length(local.pairs)
}

output "table" {
  description = "Each subnet with shared weights and with its own."
  value       = stage.control.text
}
