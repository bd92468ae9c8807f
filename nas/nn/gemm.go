package nn

// A matrix that is the right operand of many products is packed: panels of
// panelCols columns, each stored row by row, the last one padded with zeros.

// packedLen returns the length of a packed rows × cols matrix.
func packedLen(rows, cols int) int {
	return (cols + panelCols - 1) / panelCols * panelCols * rows
}

// pack packs the rows × cols matrix src.
func pack(dst, src []float32, rows, cols, ld int) {
	for j := 0; j < cols; j += panelCols {
		w := min(panelCols, cols-j)
		for r := range rows {
			copy(dst[:w], src[r*ld+j:])
			clear(dst[w:panelCols])
			dst = dst[panelCols:]
		}
	}
}

// packTransposed packs the transpose, cols × rows, of the rows × cols matrix src.
func packTransposed(dst, src []float32, rows, cols, ld int) {
	for j := 0; j < rows; j += panelCols {
		w := min(panelCols, rows-j)
		for r := range cols {
			for q := range w {
				dst[q] = src[(j+q)*ld+r]
			}
			clear(dst[w:panelCols])
			dst = dst[panelCols:]
		}
	}
}

// right is the right operand of a product.
type right struct {
	b     []float32
	ld    int // distance between rows
	panel int // distance between panels
}

// packed returns a packed matrix of the given number of rows as a right operand. Its first
// rows and first columns are the operand of a slice.
func packed(b []float32, rows int) right { return right{b, panelCols, panelCols * rows} }

// plainRight returns a row-major matrix as a right operand. Its rows must be
// readable up to the next multiple of panelCols.
func plainRight(b []float32, ld int) right { return right{b, ld, panelCols} }

// epilogue is what gemm does to a product before it stores it.
type epilogue struct {
	acc   bool      // add to what is there
	bias  []float32 // add to each row
	relu6 bool      // clamp to [0, 6]
}

// gemm computes C = A·B, m × n over k, where A(i,p) is a[i·ars+p·acs].
func (k *kernels) gemm(m, n, depth int, a []float32, ars, acs int, b right, c []float32, ldc int, ep epilogue) {
	for j := 0; j < n; j += panelCols {
		bias := ep.bias
		if bias != nil {
			bias = bias[j:]
		}
		k.panel(m, min(panelCols, n-j), depth, a, ars, acs, b.b[j/panelCols*b.panel:], b.ld, c[j:], ldc, bias, ep.acc, ep.relu6)
	}
}
