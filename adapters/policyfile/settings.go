package policyfile

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core"
)

func (r *reader) settings(s *source, n ast.Node) {
	if r.policy.Settings != nil {
		s.wrong(n, "put all settings into one place", "settings are there twice")
		return
	}
	settings := core.DefaultSettings
	s.mapping(n, "settings", fields{
		"request_expires_after":  s.duration(&settings.RequestExpiresAfter, "request_expires_after"),
		"requester_may_escalate": s.flag(&settings.RequesterMayEscalate, "requester_may_escalate"),
		"self_approval":          oneOf(s, &settings.SelfApproval, "self_approval", core.SelfNever, core.SelfNamed),
		"delegation": func(n ast.Node) {
			s.mapping(n, "delegation", fields{
				"allowed": s.flag(&settings.DelegationAllowed, "allowed"),
				"only":    oneOf(s, &settings.DelegationOnly, "only", core.DelegateAnyone, core.DelegateManager, core.DelegatePeers),
			})
		},
	})
	r.policy.Settings = &settings
}
