// Package manifests holds what is handed to other systems.
package manifests

import _ "embed"

// Slack is the manifest of the Slack app, for HTTP at https://usher.example.
//
//go:embed slack/manifest.yaml
var Slack string
