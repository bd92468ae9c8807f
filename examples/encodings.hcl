# What the encodings of int8 weights cost in accuracy: one subnet of examples/paper.hcl, of three supernets that
# differ by their seed. docs/search.md has the table, with what onnxruntime makes of the files.
#
#   bin/runner run examples/encodings.hcl      # 4 minutes

variable "data" {
  description = "Directory with Fashion-MNIST's four IDX files."
  type        = string
  default     = "../data/fashion-mnist"
}

variable "seeds" {
  description = "Seeds of the supernets."
  type        = list(number)
  default     = [1, 2, 3]
}

locals {
  holdout = 10000
  space = {
    backbone = {
      input = 1
      stem  = { channels = 16, kernel = 3, stride = 1 }
      groups = [
        { t = 1, c = 8, n = 1, s = 1 },
        { t = 6, c = 16, n = 2, s = 2 },
        { t = 6, c = 24, n = 2, s = 2 },
        { t = 6, c = 40, n = 1, s = 1 },
      ]
      head    = 128
      classes = 10
    }
    widths      = [0.75, 0.5, 0.5, 0.75, 1, 1.5]
    resolutions = [20, 24, 28]
    expansions  = [3, 4, 6]
    depths      = [1, 2]
    kernels     = [3, 5]
  }
  subnet = {
    resolution = 24
    groups     = [[{ k = 3, t = 1 }], [{ k = 5, t = 3 }, { k = 5, t = 6 }], [{ k = 5, t = 6 }, { k = 5, t = 6 }], [{ k = 5, t = 6 }]]
  }
  files = { for pair in setproduct(var.seeds, ["uint8", "int8", "int7"]) : "${pair[0]} ${pair[1]}" => { seed = pair[0], encoding = pair[1] } }
}

stage "dataset" "fashion" {
  source = "fashion-mnist"
  path   = var.data
}

stage "train-supernet" "supernet" {
  for_each = { for s in var.seeds : s => s }
  dataset  = stage.fashion.dataset
  space    = local.space
  epochs   = 4
  batch    = 64
  rate     = 0.1
  holdout  = local.holdout
  seed     = each.value
}

stage "deploy-estimate" "exported" {
  for_each = local.files
  platform = { preset = "tinyraptor" }
  network  = { name = "seed ${each.value.seed}", space = local.space, subnet = local.subnet }
  supernet = stage.supernet[each.value.seed].weights
  dataset  = stage.fashion.dataset
  holdout  = local.holdout
  encoding = each.value.encoding
}

stage "table" "encodings" {
  title = "int8 by the encoding of its weights"
  rows = [for s in var.seeds : {
    seed  = s
    float = stage.exported["${s} uint8"].estimate.top1
    uint8 = stage.exported["${s} uint8"].estimate.top1_int8
    int8  = stage.exported["${s} int8"].estimate.top1_int8
    int7  = stage.exported["${s} int7"].estimate.top1_int8
  }]
  columns = [
    { key = "seed" },
    { key = "float", title = "float32", group = "Fashion-MNIST top-1 (%)", scale = 100, format = "%.2f" },
    { key = "uint8", group = "Fashion-MNIST top-1 (%)", scale = 100, format = "%.2f" },
    { key = "int8", group = "Fashion-MNIST top-1 (%)", scale = 100, format = "%.2f" },
    { key = "int7", group = "Fashion-MNIST top-1 (%)", scale = 100, format = "%.2f" },
  ]
  provenance = "legend"
}

output "encodings" { value = stage.encodings.text }
output "files" { value = { for key, s in stage.exported : key => s.onnx_int8 } }
output "float" { value = { for s in var.seeds : s => stage.exported["${s} uint8"].onnx } }
