package web

import (
	"flag"
	"html/template"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/bot/view/viewtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGoldenViews(t *testing.T) {
	t.Parallel()

	templates, err := template.New("").Funcs(template.FuncMap{"asset": func(string) string { return "" }}).ParseFS(files, "templates/*.html")
	require.NoError(t, err)
	for _, entry := range viewtest.Catalog() {
		t.Run(entry.Name, func(t *testing.T) {
			t.Parallel()

			r := &renderer{templates: templates, level: 2}
			var rendered template.HTML
			var err error
			if entry.Form != nil {
				rendered, err = r.form(*entry.Form)
			} else {
				rendered, err = r.blocks(entry.Message.Blocks)
			}
			require.NoError(t, err)
			file := filepath.Join("testdata", "golden", entry.Name+".html")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(rendered), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err, "run make golden")
			require.Equal(t, string(want), string(rendered))
		})
	}
}
