package teams

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/bot/view/viewtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGoldenViews(t *testing.T) {
	t.Parallel()

	for _, entry := range viewtest.Catalog() {
		t.Run(entry.Name, func(t *testing.T) {
			t.Parallel()

			var rendered any
			if entry.Form != nil {
				c, err := renderForm(*entry.Form, "key")
				require.NoError(t, err)
				rendered = c
			} else {
				m, err := renderMessage(*entry.Message, false)
				require.NoError(t, err)
				rendered = m.Attachments[0].Content
			}
			compact, err := encode(rendered)
			require.NoError(t, err)
			var text bytes.Buffer
			require.NoError(t, json.Indent(&text, compact, "", " "))
			file := filepath.Join("testdata", "golden", entry.Name+".json")
			if *update {
				require.NoError(t, os.WriteFile(file, append(text.Bytes(), '\n'), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err, "run make golden")
			require.JSONEq(t, string(want), text.String())
		})
	}
}
