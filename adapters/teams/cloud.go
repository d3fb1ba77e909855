package teams

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Cloud is where Microsoft runs Teams for an organisation.
type Cloud struct {
	Login   string // where tokens are given out
	Scope   string // of tokens for the connector
	Issuer  string // of the connector's own tokens
	OpenID  string // where the connector's keys are published
	Graph   string
	Service string   // where the connector is reached when it has not said it yet
	Hosts   []string // where the connector may be
}

// clouds are Microsoft's, by name.
// Source: @microsoft/teams.api 2.1, auth/cloud-environment.
var clouds = map[string]Cloud{
	"public": {
		Login: "https://login.microsoftonline.com", Scope: "https://api.botframework.com/.default",
		Issuer: "https://api.botframework.com", OpenID: "https://login.botframework.com/v1/.well-known/openidconfiguration",
		Graph: "https://graph.microsoft.com", Service: "https://smba.trafficmanager.net/teams/",
		Hosts: []string{"smba.trafficmanager.net"},
	},
	"gcc": {
		Login: "https://login.microsoftonline.com", Scope: "https://api.botframework.com/.default",
		Issuer: "https://api.botframework.com", OpenID: "https://login.botframework.com/v1/.well-known/openidconfiguration",
		Graph: "https://graph.microsoft.com", Service: "https://smba.infra.gcc.teams.microsoft.com/teams/",
		Hosts: []string{"smba.infra.gcc.teams.microsoft.com", "smba.trafficmanager.net"},
	},
	"gcchigh": {
		Login: "https://login.microsoftonline.us", Scope: "https://api.botframework.us/.default",
		Issuer: "https://api.botframework.us", OpenID: "https://login.botframework.azure.us/v1/.well-known/openidconfiguration",
		Graph: "https://graph.microsoft.us", Service: "https://smba.infra.gov.teams.microsoft.us/teams/",
		Hosts: []string{"smba.infra.gov.teams.microsoft.us"},
	},
	"dod": {
		Login: "https://login.microsoftonline.us", Scope: "https://api.botframework.us/.default",
		Issuer: "https://api.botframework.us", OpenID: "https://login.botframework.azure.us/v1/.well-known/openidconfiguration",
		Graph: "https://dod-graph.microsoft.us", Service: "https://smba.infra.dod.teams.microsoft.us/teams/",
		Hosts: []string{"smba.infra.dod.teams.microsoft.us"},
	},
	// Nobody has published where China's connector is: TEAMS_SERVICE_URL says it.
	"china": {
		Login: "https://login.partner.microsoftonline.cn", Scope: "https://api.botframework.azure.cn/.default",
		Issuer: "https://api.botframework.azure.cn", OpenID: "https://login.botframework.azure.cn/v1/.well-known/openidconfiguration",
		Graph: "https://microsoftgraph.chinacloudapi.cn",
	},
}

// CloudOf returns the cloud with a name; the public one for "".
func CloudOf(name string) (Cloud, error) {
	c, ok := clouds[cmp.Or(name, "public")]
	if !ok {
		return c, fmt.Errorf("TEAMS_CLOUD %q is none of %s", name, strings.Join(slices.Sorted(maps.Keys(clouds)), ", "))
	}
	return c, nil
}

// TokenURL is where a tenant's applications get tokens.
func (c Cloud) TokenURL(tenant string) string { return c.Login + "/" + tenant + "/oauth2/v2.0/token" }
