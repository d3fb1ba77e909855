package web

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSignInLeadsNowhereElse(t *testing.T) {
	t.Parallel()

	for path, want := range map[string]string{
		"/requests/REQ-1": "/requests/REQ-1", "/requests?show=ended": "/requests?show=ended", "": "/",
		"//evil.example": "/", "https://evil.example": "/", "/\\evil.example": "/", "javascript:alert(1)": "/",
		"/\n/evil.example": "/", "evil.example/x": "/", "/%zz": "/",
	} {
		require.Equal(t, want, local(path), path)
	}
}

func FuzzLocal(f *testing.F) {
	f.Add("/requests")
	f.Add("//evil.example")
	f.Fuzz(func(t *testing.T, path string) {
		at := local(path)
		require.Equal(t, byte('/'), at[0])
		require.False(t, len(at) > 1 && (at[1] == '/' || at[1] == '\\'))
	})
}
