using System.Net;
using System.Net.Http.Headers;
using System.Security.Authentication;
using System.Text;
using System.Text.Json;

namespace Postwright.Core.Tables.Remote;

// Beyond Postfix: GET of a URL made from the key. 200 is an answer: its text (white space at its ends taken off), or what
// stands at a place of its JSON; 204, 404, an empty text and a missing or null place are "not found"; everything else, a
// redirection too, is an error. Parts of the key are percent-encoded, so that they stay within their place in the URL.

/// <summary>
/// <c>http:/file</c>: <c>url</c> (http or https, with %s and its like), <c>format</c> (text or json), <c>json_path</c> (names and
/// numbers parted by dots; <c>result</c> when left out), <c>user</c> and <c>password</c>, or <c>token</c>, <c>timeout</c>, the tls_ settings
/// of mysql: (certificates are verified unless <c>tls_verify_cert = no</c>), and <c>domain</c>, <c>result_format</c>, <c>expansion_limit</c>.
/// </summary>
internal sealed class HttpTable : DatabaseTable
{
    private readonly HttpClient _client;
    private readonly RemotePause _pause;
    private readonly Lock _lock = new();
    private readonly string _url;
    private readonly string _server;
    private readonly string[]? _path;
    private readonly AuthenticationHeaderValue? _authentication;

    private HttpTable(RemoteTableSource source, TableConfigurationFile settings)
        : base(source, settings, settings.GetTime("timeout", 10))
    {
        _url = Templates.Add(settings.Require("url"), isQuery: true);
        if (!Uri.TryCreate(_url.Replace('%', 'x'), UriKind.Absolute, out Uri? example) || example.Scheme is not ("http" or "https") || example.UserInfo.Length > 0)
        {
            throw settings.Wrong("url", "must be http://host/... or https://host/..., without a user in it");
        }

        int authority = _url.IndexOf("://", StringComparison.Ordinal) + 3;
        if (_url.AsSpan(authority, Math.Max(_url.AsSpan(authority).IndexOfAny('/', '?'), 0)).Contains('%'))
        {
            throw settings.Wrong("url", "must not take its host from the key");
        }

        _server = example.Authority;
        _path = settings.Get("format", "text") switch
        {
            "text" => null,
            "json" => settings.Get("json_path", "result").Split('.', StringSplitOptions.RemoveEmptyEntries),
            _ => throw settings.Wrong("format", "must be text or json"),
        };
        _authentication = settings.Find("token") is { Length: > 0 } token ? new AuthenticationHeaderValue("Bearer", token)
            : settings.Find("user") is { Length: > 0 } user
                ? new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{settings.Get("password", "")}")))
            : null;
        _pause = new RemotePause(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(16), source.Time);
        _client = Client(settings, source.Options.Connections);
    }

    public static ILookupTable Open(RemoteTableSource source) => new HttpTable(source, TableConfigurationFile.Open(source));

    /// <summary>The values at a place of a JSON text; none when there is no such place, or null at it.</summary>
    /// <exception cref="RemoteFailure">It is no JSON, or no plain value stands there.</exception>
    internal static List<string?> ParseJson(ReadOnlyMemory<byte> text, IReadOnlyList<string> path)
    {
        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 64 });
            JsonElement place = document.RootElement;
            foreach (string step in path)
            {
                if (place.ValueKind == JsonValueKind.Object && place.TryGetProperty(step, out JsonElement member))
                {
                    place = member;
                }
                else if (place.ValueKind == JsonValueKind.Array && int.TryParse(step, out int index) && index >= 0 && index < place.GetArrayLength())
                {
                    place = place[index];
                }
                else
                {
                    return [];
                }
            }

            return place.ValueKind == JsonValueKind.Array ? [.. place.EnumerateArray().Select(Plain)] : [Plain(place)];
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            throw new RemoteFailure("the answer is not JSON", usable: true);
        }
    }

    protected override async ValueTask<LookupResult> FindAsync(string key, CancellationToken deadline)
    {
        lock (_lock)
        {
            if (_pause.IsWaiting)
            {
                throw _pause.Failure(_server);
            }
        }

        try
        {
            LookupResult result = Join(key, await GetAsync(Templates.Query(_url, key, Uri.EscapeDataString), deadline));
            Note(null, isSlow: false);
            return result;
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or AuthenticationException)
        {
            bool isTooLarge = failure is HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded };
            string reason = isTooLarge ? $"the answer has more than {MaxAnswer} bytes" : (failure.InnerException ?? failure).Message;
            Note(isTooLarge ? null : reason, isSlow: false);
            throw new RemoteFailure($"{_server}: {reason}");
        }
        catch (OperationCanceledException)
        {
            Note("no answer in time", isSlow: true);
            throw;
        }
    }

    protected override void Close() => _client.Dispose();

    private static string? Plain(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Number => value.GetRawText(),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        JsonValueKind.Null => null,
        _ => throw new RemoteFailure("no plain value stands at json_path", usable: true),
    };

    private async ValueTask<List<string?>> GetAsync(string url, CancellationToken deadline)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Authorization = _authentication;
        request.Headers.Accept.ParseAdd(_path is null ? "text/plain" : "application/json");
        using HttpResponseMessage response = await _client.SendAsync(request, HttpCompletionOption.ResponseContentRead, deadline);
        switch (response.StatusCode)
        {
            case HttpStatusCode.OK:
                byte[] content = await response.Content.ReadAsByteArrayAsync(deadline);
                if (_path is not null)
                {
                    return ParseJson(content, _path);
                }

                string text = TableText.Decode(content).Trim(LogicalLines.White);
                return text.Length == 0 ? [] : [text];
            case HttpStatusCode.NoContent or HttpStatusCode.NotFound:
                return [];
            case >= HttpStatusCode.InternalServerError:
                throw new HttpRequestException($"status {(int)response.StatusCode}");
            default:
                throw new RemoteFailure($"{_server}: status {(int)response.StatusCode}");
        }
    }

    private void Note(string? failure, bool isSlow)
    {
        lock (_lock)
        {
            if (failure is null)
            {
                _pause.Succeed();
            }
            else
            {
                _pause.Fail(failure, isSlow);
            }
        }
    }

    private static HttpClient Client(TableConfigurationFile settings, int connections)
    {
        bool verifies = settings.GetBool("tls_verify_cert", true);
        var tls = new RemoteTls
        {
            VerifiesChain = verifies,
            VerifiesName = verifies,
            AuthorityFile = settings.Find("tls_CAfile"),
            AuthorityDirectory = settings.Find("tls_CApath"),
            CertificateFile = settings.Find("tls_cert_file"),
            KeyFile = settings.Find("tls_key_file"),
        };
        try
        {
            var handler = new SocketsHttpHandler
            {
                AllowAutoRedirect = false,
                UseCookies = false,
                UseProxy = false,
                MaxConnectionsPerServer = connections,
                MaxResponseHeadersLength = 64,
                PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),
                SslOptions = tls.For(""),
            };
            return new HttpClient(handler) { Timeout = System.Threading.Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = MaxAnswer };
        }
        catch (RemoteFailure failure)
        {
            throw new RemoteConfigurationException($"{settings.Place}: {failure.Message}");
        }
    }
}
