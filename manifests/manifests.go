// Package manifests holds what is handed to other systems.
package manifests

import "embed"

// Slack is the manifest of the Slack app, for HTTP at https://usher.example.
//
//go:embed slack/manifest.yaml
var Slack string

// Teams is the package of the Teams app, for TeamsAppID at https://usher.example.
//
//go:generate sh -c "cd teams && go run icons.go"
//go:embed teams/manifest.json teams/color.png teams/outline.png
var Teams embed.FS

// TeamsAppID stands for the bot registration's ID in the Teams app's manifest,
// and TeamsVersion is its version, which is raised with every change.
const (
	TeamsAppID   = "11111111-2222-4333-8444-555555555555"
	TeamsVersion = "1.0.0"
)

// DemoPolicy is the sample company's policy, in policy/demo.
//
//go:embed policy/demo
var DemoPolicy embed.FS

// ExamplePolicy is a policy that has every key in it, with comments.
//
//go:embed policy/example/policy.yaml
var ExamplePolicy string
