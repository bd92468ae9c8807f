package arch

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Extent is rows by columns: of a window, of its steps, of the distances between its taps.
// In recipes and JSON it is one number where both are equal, such as 3, else a list of
// both, such as [10, 4].
type Extent struct{ H, W int }

// Square returns the extent of n rows and n columns.
func Square(n int) Extent { return Extent{n, n} }

// Size returns rows times columns.
func (e Extent) Size() int { return e.H * e.W }

// String writes the extent as "rows×columns".
func (e Extent) String() string { return fmt.Sprintf("%d×%d", e.H, e.W) }

// Written says how an extent is written in a recipe.
func (Extent) Written() string { return "integer or list of [rows, columns]" }

// MarshalJSON writes one number, or a list of two.
func (e Extent) MarshalJSON() ([]byte, error) {
	if e.H == e.W {
		return json.Marshal(e.H)
	}
	return json.Marshal([]int{e.H, e.W})
}

// UnmarshalJSON reads one number, or a list of two, all at least 1.
func (e *Extent) UnmarshalJSON(b []byte) error {
	v, err := readIntegers(b, 1)
	switch {
	case err != nil:
		return err
	case len(v) == 1:
		*e = Square(v[0])
	case len(v) == 2:
		*e = Extent{v[0], v[1]}
	default:
		return fmt.Errorf("a list of %d: want one number for both, such as 3, or [rows, columns], such as [10, 4]", len(v))
	}
	return nil
}

// Padding is what is added on each side of a map. In recipes and JSON it is one number
// where all four are equal, a list of [rows, columns] where opposite sides are, else a
// list of [top, left, bottom, right].
type Padding struct{ Top, Left, Bottom, Right int }

// Around returns the padding of n on every side.
func Around(n int) Padding { return Padding{n, n, n, n} }

// Rows returns how many rows are added in all.
func (p Padding) Rows() int { return p.Top + p.Bottom }

// Columns returns how many columns are added in all.
func (p Padding) Columns() int { return p.Left + p.Right }

// String writes one number, two or four, as recipes have them.
func (p Padding) String() string {
	b, _ := p.MarshalJSON() // integers can be written
	return string(b)
}

// Written says how a padding is written in a recipe.
func (Padding) Written() string {
	return "integer or list of [rows, columns] or [top, left, bottom, right]"
}

// MarshalJSON writes one number, or a list of two or four.
func (p Padding) MarshalJSON() ([]byte, error) {
	switch {
	case p == Around(p.Top):
		return json.Marshal(p.Top)
	case p.Top == p.Bottom && p.Left == p.Right:
		return json.Marshal([]int{p.Top, p.Left})
	}
	return json.Marshal([]int{p.Top, p.Left, p.Bottom, p.Right})
}

// UnmarshalJSON reads one number, or a list of two or four, none of them negative.
func (p *Padding) UnmarshalJSON(b []byte) error {
	v, err := readIntegers(b, 0)
	switch {
	case err != nil:
		return err
	case len(v) == 1:
		*p = Around(v[0])
	case len(v) == 2:
		*p = Padding{v[0], v[1], v[0], v[1]}
	case len(v) == 4:
		*p = Padding{v[0], v[1], v[2], v[3]}
	default:
		return fmt.Errorf("a list of %d: want one number for all sides, [rows, columns], or [top, left, bottom, right]", len(v))
	}
	return nil
}

// readIntegers reads an integer or a list of some, each at least least. One outside of a
// list is a list of one, and one in a list is none that either type is written as.
func readIntegers(b []byte, least int) (v []int, err error) {
	const most = 1 << 20
	single := !bytes.HasPrefix(bytes.TrimSpace(b), []byte("["))
	if single {
		b = append(append([]byte("["), b...), ']')
	}
	var numbers []json.Number
	if err := json.Unmarshal(b, &numbers); err != nil {
		return nil, fmt.Errorf("want an integer or a list of integers")
	}
	for _, n := range numbers {
		f, err := n.Float64()
		if err != nil || f != float64(int(f)) || f < float64(least) || f > most {
			return nil, fmt.Errorf("got %q, want an integer from %d to %d", n, least, most)
		}
		v = append(v, int(f))
	}
	if !single && len(v) == 1 {
		return nil, fmt.Errorf("a list of 1: write the number without brackets")
	}
	return v, nil
}
