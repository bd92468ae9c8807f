# Train what was found: a search's subnet by the supernet's shared weights, fine-tuned from them, and trained alone for
# as many epochs in all; each in float32, quantised to int8 after training, and trained to bear that. The last takes
# Python with PyTorch, whose rounding passes Go's kernels do not have.
#
#   bin/runner run examples/finetune.hcl

variable "data" {
  description = "Directory with Fashion-MNIST's four IDX files."
  type        = string
  default     = "../data/fashion-mnist"
}

variable "python" {
  description = "A Python that has PyTorch."
  type        = string
  default     = "python3"
}

variable "seeds" {
  description = "How many times everything that is random is done anew."
  type        = number
  default     = 3
}

variable "epochs" {
  description = "Passes over the training images: of the supernet, and of what begins with its weights."
  type        = object({ supernet = number, tuned = number, last = number })
  default     = { supernet = 3, tuned = 2, last = 0.5 }
}

variable "encoding" {
  description = "Weights in int8: \"uint8\" and \"int8\" are the same integers; \"int7\" is correct on any processor, with steps twice as coarse."
  type        = string
  default     = "int7"
}

variable "limit" {
  description = "Latency that the network may have."
  type        = string
  default     = "2ms"
}

locals {
  platform = { preset = "tinyraptor" }
  holdout  = 4000
  rate     = 0.1
  seeds    = { for s in range(var.seeds) : "seed ${s + 1}" => s + 1 }
}

stage "dataset" "fashion" {
  source = "fashion-mnist"
  path   = var.data
}

stage "train-supernet" "supernet" {
  for_each = local.seeds
  dataset  = stage.fashion.dataset
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
  epochs       = var.epochs.supernet
  rate         = local.rate
  warmup       = 0.2
  subnets      = 1
  holdout      = local.holdout
  curve_images = 0
  seed         = each.value
}

# What is found: the subnet that does best, under the limit, on images that the supernet has not seen.
stage "evolve" "found" {
  for_each   = local.seeds
  platform   = local.platform
  supernet   = stage.supernet[each.key].weights
  dataset    = stage.fashion.dataset
  holdout    = local.holdout
  objective  = "accuracy"
  limit      = { latency = var.limit }
  strategy   = "regularized"
  population = 16
  iterations = 3
  seed       = each.value
}
