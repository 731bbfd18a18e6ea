package ticket

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// QuietZone is the white margin around a code in modules; ISO/IEC 18004 demands four.
const QuietZone = 4

// Symbol is a QR code: a square of Size by Size modules.
type Symbol struct {
	Size int
	code *qr.Code
}

// QR returns the code for a ticket's text at error correction level M, which survives the loss of 15% of it. Level Q needs
// two versions more for the same text, and on a scratched phone a larger module is worth more than more of them.
func QR(text string) (Symbol, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return Symbol{}, fmt.Errorf("QR code of %d characters: %w", len(text), err)
	}
	return Symbol{Size: code.Size, code: code}, nil
}

// Version returns the symbol's QR version, 1 to 40.
func (s Symbol) Version() int { return (s.Size - 17) / 4 }

// PNG returns a black and white picture, 8 pixels a module, quiet zone included.
func (s Symbol) PNG() []byte { return s.code.PNG() }

// SVG returns a drawing of the symbol with its quiet zone, one unit a module, that scales to the box it is put in.
func (s Symbol) SVG() string {
	var path strings.Builder
	s.runs(func(x, y, n int) {
		fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+QuietZone, y+QuietZone, n, n)
	})
	side := s.Size + 2*QuietZone
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges" role="img">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path d="%s"/></svg>`, side, side, side, side, path.String())
}

// runs calls draw for every horizontal run of n black modules that starts at x, y.
func (s Symbol) runs(draw func(x, y, n int)) {
	for y := range s.Size {
		for x := 0; x < s.Size; {
			n := 0
			for x+n < s.Size && s.code.Black(x+n, y) {
				n++
			}
			if n > 0 {
				draw(x, y, n)
			}
			x += n + 1
		}
	}
}
