package teams

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// install installs usher for somebody, as an administrator has allowed it.
// Repeated, it changes nothing.
// Source: learn.microsoft.com, microsoftteams/platform/graph-api/proactive-bots-and-messages.
func (a *Adapter) install(ctx context.Context, user string) error {
	app, err := a.catalogued(ctx)
	if err != nil {
		return err
	}
	body := map[string]string{"teamsApp@odata.bind": a.graphURL + "/v1.0/appCatalogs/teamsApps/" + url.PathEscape(app.ID)}
	to := a.graphURL + "/v1.0/users/" + url.PathEscape(user) + "/teamwork/installedApps"
	err = a.request(ctx, a.graph, callInstall, http.MethodPost, to, body, nil)
	if e, ok := errors.AsType[*callError](err); ok && e.Status == http.StatusConflict {
		return nil // it is installed
	}
	return err
}

// catalogueApp is usher in the organisation's catalogue of apps.
type catalogueApp struct {
	ID          string `json:"id"`
	Definitions []struct {
		Version string `json:"version"`
	} `json:"appDefinitions"`
}

// catalogued returns what the organisation's catalogue says of usher. It is
// asked once.
func (a *Adapter) catalogued(ctx context.Context) (catalogueApp, error) {
	a.mu.Lock()
	known := a.app
	a.mu.Unlock()
	if known.ID != "" {
		return known, nil
	}
	var answer struct {
		Value []catalogueApp `json:"value"`
	}
	at := a.graphURL + "/v1.0/appCatalogs/teamsApps?$expand=appDefinitions&$filter=" + url.QueryEscape("externalId eq '"+a.appID+"'")
	if err := a.request(ctx, a.graph, callInstall, http.MethodGet, at, nil, &answer); err != nil {
		return known, err
	}
	if len(answer.Value) == 0 {
		return known, errors.New("the organisation's catalogue doesn't have usher's app; upload the package from usher manifest teams")
	}
	a.mu.Lock()
	a.app = answer.Value[0]
	a.mu.Unlock()
	return answer.Value[0], nil
}
