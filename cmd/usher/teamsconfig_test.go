package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMistakesInTheConfigurationOfTeamsAreNamed(t *testing.T) {
	t.Parallel()

	good := TeamsConfig{AppID: "app", AppPassword: "secret", TenantID: []string{"tenant"}}
	for name, tt := range map[string]struct {
		listen string
		change func(c *TeamsConfig)
		want   string
	}{
		"Good":              {"0.0.0.0:80", func(*TeamsConfig) {}, ""},
		"NoTenant":          {"127.0.0.1:80", func(c *TeamsConfig) { c.TenantID = []string{" "} }, "TEAMS_TENANT_ID"},
		"NoSecret":          {"127.0.0.1:80", func(c *TeamsConfig) { c.AppPassword = "" }, "TEAMS_APP_PASSWORD"},
		"Identity":          {"127.0.0.1:80", func(c *TeamsConfig) { c.AppPassword, c.ManagedIdentity = "", true }, ""},
		"NoApp":             {"127.0.0.1:80", func(c *TeamsConfig) { c.AppID = "" }, "TEAMS_APP_ID"},
		"Cloud":             {"127.0.0.1:80", func(c *TeamsConfig) { c.Cloud = "moon" }, "TEAMS_CLOUD"},
		"AnonymousWithApp":  {"127.0.0.1:80", func(c *TeamsConfig) { c.Anonymous = true }, "TEAMS_ANONYMOUS"},
		"Anonymous":         {"127.0.0.1:80", func(c *TeamsConfig) { *c = TeamsConfig{Anonymous: true} }, ""},
		"AnonymousIPv6":     {"[::1]:80", func(c *TeamsConfig) { *c = TeamsConfig{Anonymous: true} }, ""},
		"AnonymousOutside":  {"0.0.0.0:80", func(c *TeamsConfig) { *c = TeamsConfig{Anonymous: true} }, "USHER_LISTEN"},
		"AnonymousAnywhere": {":80", func(c *TeamsConfig) { *c = TeamsConfig{Anonymous: true} }, "USHER_LISTEN"},
		"AnonymousByName":   {"usher.example:80", func(c *TeamsConfig) { *c = TeamsConfig{Anonymous: true} }, "USHER_LISTEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := good
			tt.change(&c)
			err := errors.Join(c.validate(tt.listen)...)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}
