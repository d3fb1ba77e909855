//go:build ignore

// Draws the icons of the Teams app: a keyhole, which is where access begins.
package main

import (
	"image"
	"image/color"
	"image/png"
	"log"
	"math"
	"os"
)

var (
	white  = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	indigo = color.NRGBA{0x3b, 0x4f, 0xc9, 0xff}
)

func main() {
	draw("color.png", 192, func(x, y float64) color.NRGBA {
		if keyhole(x, y, 1) {
			return white
		}
		return indigo
	})
	draw("outline.png", 32, func(x, y float64) color.NRGBA {
		ring := math.Hypot(x, y)
		if ring < 0.94 && ring > 0.80 || keyhole(x, y, 0.9) {
			return white
		}
		return color.NRGBA{0xff, 0xff, 0xff, 0}
	})
}

// keyhole reports whether a point, from -1 to 1 each way, is in the keyhole.
func keyhole(x, y, size float64) bool {
	x, y = x/size, y/size
	if math.Hypot(x, y+0.2) < 0.28 {
		return true
	}
	return y > -0.2 && y < 0.55 && math.Abs(x) < 0.11+(y+0.2)*0.2
}

// draw writes a picture, each pixel the mean of many points.
func draw(name string, size int, at func(x, y float64) color.NRGBA) {
	const fine = 8
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for py := range size {
		for px := range size {
			var r, g, b, a, n float64
			for sy := range fine {
				for sx := range fine {
					x := (float64(px)+(float64(sx)+0.5)/fine)/float64(size)*2 - 1
					y := (float64(py)+(float64(sy)+0.5)/fine)/float64(size)*2 - 1
					c := at(x, y)
					r, g, b, a, n = r+float64(c.R), g+float64(c.G), b+float64(c.B), a+float64(c.A), n+1
				}
			}
			img.SetNRGBA(px, py, color.NRGBA{uint8(r / n), uint8(g / n), uint8(b / n), uint8(a / n)})
		}
	}
	file, err := os.Create(name)
	if err != nil {
		log.Fatal(err)
	}
	if err := png.Encode(file, img); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
}
