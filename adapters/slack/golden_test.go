package slack

import (
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
				modal, err := renderForm(*entry.Form)
				require.NoError(t, err)
				rendered = modal
			} else {
				m, err := renderMessage(*entry.Message)
				require.NoError(t, err)
				rendered = map[string]any{"text": m.text, "blocks": m.blocks}
			}
			text, err := json.MarshalIndent(rendered, "", " ")
			require.NoError(t, err)
			file := filepath.Join("testdata", "golden", entry.Name+".json")
			if *update {
				require.NoError(t, os.WriteFile(file, append(text, '\n'), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err, "run make golden")
			require.JSONEq(t, string(want), string(text))
		})
	}
}
