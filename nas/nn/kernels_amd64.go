package nn

import "golang.org/x/sys/cpu"

//go:generate go run asm/gen.go

// avx512 and avx2 are the sets in assembly.
var (
	avx512 = kernels{
		name: "avx512", lanes: 16, panel: panelAVX512,
		affine: affineAVX512, affineAdd: affineAddAVX512, add: addAVX512, moments: momentsAVX512,
		gradMoments: gradMomentsAVX512, reluGrad: reluGradAVX512, normGrad: normGradAVX512,
		sgd: sgdAVX512, peak: peakAVX512,
		conv: [8][3]convFunc{
			3: {1: dwConv31AVX512, 2: dwConv32AVX512},
			5: {1: dwConv51AVX512, 2: dwConv52AVX512},
			7: {1: dwConv71AVX512, 2: dwConv72AVX512},
		},
		grad: [8]gradFunc{3: dwGrad3AVX512, 5: dwGrad5AVX512, 7: dwGrad7AVX512},
	}
	avx2 = kernels{
		name: "avx2", lanes: 8, panel: panel2,
		affine: affineAVX2, affineAdd: affineAddAVX2, add: addAVX2, moments: momentsAVX2,
		gradMoments: gradMomentsAVX2, reluGrad: reluGradAVX2, normGrad: normGradAVX2,
		sgd: sgdAVX2, peak: peakAVX2,
		conv: [8][3]convFunc{
			3: {1: dwConv31AVX2, 2: dwConv32AVX2},
			5: {1: dwConv51AVX2, 2: dwConv52AVX2},
			7: {1: dwConv71AVX2, 2: dwConv72AVX2},
		},
		grad: [8]gradFunc{3: dwGrad3AVX2, 5: dwGrad5AVX2, 7: dwGrad7AVX2},
	}
)

// sets returns the kernels that run here, the fastest first.
func sets() []*kernels {
	var list []*kernels
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		list = append(list, &avx512)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		list = append(list, &avx2)
	}
	return append(list, &plain)
}

// panel2 computes a panel by halves: 16 columns are what 16 registers can hold.
func panel2(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, bias []float32, acc, relu6 bool) {
	const half = 16
	panelAVX2(m, min(n, half), k, a, ars, acs, b, ldb, c, ldc, bias, acc, relu6)
	if n > half {
		if bias != nil {
			bias = bias[half:]
		}
		panelAVX2(m, n-half, k, a, ars, acs, b[half:], ldb, c[half:], ldc, bias, acc, relu6)
	}
}
