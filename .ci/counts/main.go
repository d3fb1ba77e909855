// Command counts reads the events of go test -json, shows what failed and what
// was skipped, and ends with the counts. Its exit code is 1 when anything failed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

func main() {
	passed, failed, skipped := 0, 0, 0
	output := map[string][]string{}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var e event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			fmt.Println(in.Text())
			continue
		}
		key := e.Package + e.ImportPath + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
		case "build-fail":
			fmt.Print(strings.Join(output[key], ""))
		case "pass":
			if e.Test == "" {
				fmt.Printf("ok    %s (%.1fs)\n", e.Package, e.Elapsed)
			} else {
				passed++
			}
			delete(output, key)
		case "skip":
			if e.Test != "" {
				skipped++
				fmt.Printf("skip  %s %s\n", e.Package, e.Test)
			}
			delete(output, key)
		case "fail":
			if e.Test != "" || e.FailedBuild != "" || len(output[key]) > 0 {
				fmt.Printf("FAIL  %s %s\n%s", e.Package, e.Test, strings.Join(output[key], ""))
			}
			if e.Test != "" || e.FailedBuild != "" {
				failed++
			}
			delete(output, key)
		}
	}
	if err := in.Err(); err != nil {
		fmt.Println(err)
		failed++
	}
	fmt.Printf("\n%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}
