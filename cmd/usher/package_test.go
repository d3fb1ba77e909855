package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/manifests"
)

func TestTheTeamsPackageIsFilledIn(t *testing.T) {
	t.Parallel()

	const id = "7d2f1c34-5a0e-4a87-9c5b-1f0d7f3a6b21"
	file := filepath.Join(t.TempDir(), "usher.zip")
	var out, wrong bytes.Buffer
	code := run(t.Context(), []string{"manifest", "teams", "--url", "https://usher.acme.example", "--app-id", id, "-o", file, "--package-version", "2.3.4"}, &out, &wrong)
	require.Zero(t, code, wrong.String())
	require.Contains(t, out.String(), "https://usher.acme.example/api/messages")

	z, err := zip.OpenReader(file)
	require.NoError(t, err)
	defer z.Close()
	names := map[string]bool{}
	for _, f := range z.File {
		names[f.Name] = true
	}
	require.Equal(t, map[string]bool{"manifest.json": true, "color.png": true, "outline.png": true}, names, "all at the root, and nothing else")
	entry, err := z.Open("manifest.json")
	require.NoError(t, err)
	var m struct {
		ID, Version  string
		ValidDomains []string
		Bots         []struct{ BotID string }
	}
	require.NoError(t, json.NewDecoder(entry).Decode(&m))
	require.Equal(t, id, m.ID)
	require.Equal(t, id, m.Bots[0].BotID)
	require.Equal(t, "2.3.4", m.Version)
	require.Equal(t, []string{"usher.acme.example"}, m.ValidDomains)
}

func TestTheTeamsPackageNeedsToKnowWhereAndWho(t *testing.T) {
	t.Parallel()

	for want, args := range map[string][]string{
		"--url":             {"--app-id", manifests.TeamsAppID},
		"--app-id":          {"--url", "https://usher.acme.example", "--app-id", "usher"},
		"--package-version": {"--url", "https://usher.acme.example", "--app-id", manifests.TeamsAppID, "--package-version", "one"},
	} {
		file := filepath.Join(t.TempDir(), "usher.zip")
		var out, wrong bytes.Buffer
		require.Equal(t, 1, run(t.Context(), append([]string{"manifest", "teams", "-o", file}, args...), &out, &wrong))
		require.Contains(t, wrong.String(), want)
		require.NoFileExists(t, file)
	}
}

func TestTheManifestSaysItsVersion(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("../../manifests/teams/manifest.json")
	require.NoError(t, err)
	var m struct{ ID, Version string }
	require.NoError(t, json.Unmarshal(text, &m))
	require.Equal(t, manifests.TeamsVersion, m.Version)
	require.Equal(t, manifests.TeamsAppID, m.ID)
}
