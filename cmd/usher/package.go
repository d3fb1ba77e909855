package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/usher-access/usher/manifests"
)

type manifestTeamsCommand struct {
	AppID          string `name:"app-id" help:"The bot registration's ID; TEAMS_APP_ID when empty."`
	Output         string `short:"o" default:"usher.zip" placeholder:"FILE" help:"Where to write the package."`
	PackageVersion string `default:"1.0.0" help:"Version of the package, which Teams wants to be higher with every upload."`
}

// Help is shown by usher manifest teams --help.
func (manifestTeamsCommand) Help() string {
	return `The package is uploaded in the Teams admin center, under Manage apps.

Example:
  usher manifest teams --url https://usher.acme.example --app-id 7d2f1c34-… -o usher.zip`
}

var (
	guid   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	semver = regexp.MustCompile(`^\d{1,9}\.\d{1,9}\.\d{1,9}$`)
)

// Run writes the package.
func (m *manifestTeamsCommand) Run(c *Config, s streams) error {
	id := cmp.Or(m.AppID, c.Teams.AppID)
	at, err := url.Parse(c.publicURL())
	switch {
	case err != nil || at.Scheme != "https":
		return errors.New("say where Teams reaches usher with --url https://…")
	case !guid.MatchString(id):
		return errors.New("say which bot registration it is with --app-id, such as 7d2f1c34-5a0e-4a87-9c5b-1f0d7f3a6b21")
	case !semver.MatchString(m.PackageVersion):
		return errors.New("--package-version must be three numbers, such as 1.0.1")
	}
	text, err := teamsPackage(at, strings.ToLower(id), m.PackageVersion)
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.Output, text, 0o644); err != nil {
		return fmt.Errorf("write the package: %w", err)
	}
	fmt.Fprintf(s.out, "%s is written. Upload it in the Teams admin center, and set the bot's messaging endpoint to %s/api/messages.\n",
		m.Output, c.publicURL())
	return nil
}

// teamsPackage returns the app's package for a registration, filled in where
// usher runs.
func teamsPackage(at *url.URL, appID, version string) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	files, err := fs.Glob(manifests.Teams, "teams/*")
	if err != nil {
		return nil, err
	}
	fill := strings.NewReplacer(
		manifests.TeamsAppID, appID, "https://usher.example", strings.TrimRight(at.String(), "/"),
		"usher.example", at.Hostname(), `"version": "`+manifests.TeamsVersion+`"`, `"version": "`+version+`"`,
	)
	for _, name := range files {
		text, err := manifests.Teams.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if path.Ext(name) == ".json" {
			text = []byte(fill.Replace(string(text)))
		}
		w, err := z.Create(path.Base(name))
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(text); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("write the package: %w", err)
	}
	return out.Bytes(), nil
}
