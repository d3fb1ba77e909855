// Package manifests holds what is handed to other systems.
package manifests

import "embed"

// Slack is the manifest of the Slack app, for HTTP at https://usher.example.
//
//go:embed slack/manifest.yaml
var Slack string

// DemoPolicy is the sample company's policy, in policy/demo.
//
//go:embed policy/demo
var DemoPolicy embed.FS

// ExamplePolicy is a policy that has every key in it, with comments.
//
//go:embed policy/example/policy.yaml
var ExamplePolicy string
