package policyfile

import (
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing in a policy that can't be as it is.
type Mistake struct {
	File    string
	Line    int
	Source  string // the line itself
	Message string
	Remedy  string // what would be right
}

// Mistakes are all mistakes of a folder, in its order.
type Mistakes []Mistake

// Error shows each mistake with its file, its line, and what would be right.
func (m Mistakes) Error() string {
	var b strings.Builder
	for _, one := range m {
		fmt.Fprintf(&b, "%s:%d: %s\n", one.File, one.Line, one.Message)
		if one.Source != "" {
			fmt.Fprintf(&b, "  %4d | %s\n", one.Line, one.Source)
		}
		fmt.Fprintf(&b, "       → %s\n", one.Remedy)
	}
	noun := "mistakes"
	if len(m) == 1 {
		noun = "mistake"
	}
	fmt.Fprintf(&b, "%d %s; nothing was applied", len(m), noun)
	return b.String()
}

func (m Mistakes) sorted() Mistakes {
	slices.SortStableFunc(m, func(a, b Mistake) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return slices.Compact(m)
}

// nearest returns what somebody who wrote word may have meant, or "".
func nearest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(word, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
