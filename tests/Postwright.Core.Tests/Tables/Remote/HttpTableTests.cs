using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Postwright.Core.Tables.Remote;
using Postwright.Testing;
using Postwright.Testing.Network;

namespace Postwright.Core.Tests.Tables.Remote;

/// <summary>http: against a small server of the tests' own.</summary>
public sealed class HttpTableTests : IDisposable
{
    private readonly RemoteRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Theory]
    [InlineData("200 OK", "joe@inside\n", "joe@inside")]
    [InlineData("200 OK", " \r\n", "-")]
    [InlineData("204 No Content", "", "-")]
    [InlineData("404 Not Found", "no such key", "-")]
    [InlineData("500 Internal Server Error", "x", "!")]
    [InlineData("503 Service Unavailable", "", "!")]
    [InlineData("401 Unauthorized", "", "!")]
    [InlineData("301 Moved Permanently\r\nLocation: http://127.0.0.1/", "x", "!")]
    [InlineData("206 Partial Content", "x", "!")]
    [InlineData("nonsense", "x", "!")]
    public async Task Status_and_text_are_the_answer(string status, string body, string expected)
    {
        await using TableServer server = HttpServer.Start(_ => (status, body));
        Assert.Equal(expected, await _rig.AskAsync(_rig.Configure("http", $"url = http://127.0.0.1:{server.Port}/%s\n"), "k"));
    }

    [Theory]
    [InlineData("""{"result": "a"}""", "", "a")]
    [InlineData("""{"result": ["a", 5, true, null, ""]}""", "", "a,5,true")]
    [InlineData("""{"result": null}""", "", "-")]
    [InlineData("""{"other": 1}""", "", "-")]
    [InlineData("""{"result": {"a": 1}}""", "", "!")]
    [InlineData("""{"users": [{"mail": "x@y"}]}""", "json_path = users.0.mail\n", "x@y")]
    [InlineData("""{"users": []}""", "json_path = users.0.mail\n", "-")]
    [InlineData("""{"result": "a""", "", "!")]
    [InlineData("""{"result": ["a", "b"]}""", "expansion_limit = 1\n", "!")]
    public async Task Json_gives_what_stands_at_the_path(string body, string settings, string expected)
    {
        await using TableServer server = HttpServer.Start(_ => ("200 OK", body));
        Assert.Equal(expected, await _rig.AskAsync(_rig.Configure("http", $"url = http://127.0.0.1:{server.Port}/%s\nformat = json\n{settings}"), "k"));
    }

    [Fact]
    public async Task Parts_of_the_key_stay_within_their_place()
    {
        await using TableServer server = HttpServer.Start(static request => ("200 OK", request.Split(' ')[1]));
        string table = _rig.Configure("http", $"url = http://127.0.0.1:{server.Port}/find/%u?domain=%d&x=100%%\n");
        Assert.Equal("/find/a%2F..%2Fb%3Fc%26d%23?domain=e.example&x=100%25", await _rig.AskAsync(table, "a/../b?c&d#@e.example"));
        Assert.Equal("/find/..?domain=x%0D%0Ahost%3A%20y&x=100%25", (await _rig.AskAsync(table, "%2e@x\r\nHost: y")).Replace("%252e", "..", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_user_or_a_token_is_sent()
    {
        await using TableServer server = HttpServer.Start(static request => ("200 OK", request.Split("\r\n").Single(static line => line.StartsWith("Authorization: ", StringComparison.Ordinal))));
        string url = $"url = http://127.0.0.1:{server.Port}/\n";
        Assert.Equal("Authorization: Basic am9lOnMgZWM=", await _rig.AskAsync(_rig.Configure("http", url + "user = joe\npassword = s ec\n"), "k"));
        Assert.Equal("Authorization: Bearer abc", await _rig.AskAsync(_rig.Configure("http", url + "token = abc\n"), "k"));
    }

    [Fact]
    public async Task Certificates_are_verified_unless_the_table_says_no()
    {
        TestCertificate.Write(_rig.Folder);
        using X509Certificate2 pem = X509Certificate2.CreateFromPemFile(Path.Combine(_rig.Folder, "server.pem"), Path.Combine(_rig.Folder, "server.key"));
        using X509Certificate2 certificate = X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
        await using TableServer server = new(async (stream, server) =>
        {
            await using SslStream tls = new(stream);
            try
            {
                await tls.AuthenticateAsServerAsync(certificate);
            }
            catch (System.Security.Authentication.AuthenticationException refused)
            {
                throw new IOException(refused.Message, refused);
            }

            await HttpServer.ServeAsync(tls, server, static _ => ("200 OK", "safe"));
        });
        string url = $"url = https://localhost:{server.Port}/%s\n";
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("http", url), "k"));
        Assert.Equal("safe", await _rig.AskAsync(_rig.Configure("http", url + "tls_verify_cert = no\n"), "k"));
        Assert.Equal("safe", await _rig.AskAsync(_rig.Configure("http", url + $"tls_CAfile = {_rig.Folder}/ca.pem\n"), "k"));
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("http", url.Replace("localhost", "127.0.0.2", StringComparison.Ordinal) + $"tls_CAfile = {_rig.Folder}/ca.pem\n"), "k"));
    }

    [Fact]
    public async Task Down_slow_and_back_it_is_an_error_for_as_long()
    {
        await using TableServer server = HttpServer.Start(static _ => ("200 OK", "up"));
        string table = _rig.Configure("http", $"url = http://127.0.0.1:{server.Port}/%s\n");
        Assert.Equal("up", await _rig.AskAsync(table, "k"));
        server.Hold();
        Task<string> slow = _rig.AskAsync(table, "k");
        await Until.True(() => server.Requests.Count == 2);
        _rig.Time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal("!", await slow);
        Assert.Equal("!", await _rig.AskAsync(table, "k"));
        Assert.Equal(2, server.Requests.Count);
        await ServerStates.BackTwiceAsync(_rig, server, table, "k", "up");
    }

    [Fact]
    public async Task An_answer_of_any_size_costs_bounded_memory()
    {
        await using TableServer server = HttpServer.Start(static _ => ("200 OK", new string('x', (1 << 20) + 1)));
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("http", $"url = http://127.0.0.1:{server.Port}/%s\n"), "k"));
        Assert.Contains(_rig.Log.All, static line => line.Contains("the answer has more than 1048576 bytes", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("url = ftp://x/\n", "url must be")]
    [InlineData("url = http://u:p@x/\n", "url must be")]
    [InlineData("url = http://%d/\n", "must not take its host from the key")]
    [InlineData("url = http://x/\nformat = xml\n", "format must be text or json")]
    [InlineData("url = http://x/\ntls_CAfile = /nonexistent\n", "TLS certificate or key")]
    public Task Settings_that_cannot_be_used_are_errors_that_name_them(string settings, string reason) => _rig.RefusesAsync("http", settings, reason);

    [Fact]
    public void Whatever_json_comes_is_read_without_another_exception()
    {
        string[] pieces = ["{", "}", "[", "]", "\"result\"", ":", ",", "\"a\"", "1e999", "null", "\\ud800", "\"", "true", "\u00ff", " "];
        FuzzTime fuzz = new(100_000);
        for (int seed = 1; fuzz.Includes(seed); seed++)
        {
            Random random = new(seed);
            byte[] text = Encoding.Latin1.GetBytes((random.Next(2) == 0 ? "{\"result\":" : "") + string.Concat(Enumerable.Range(0, random.Next(8)).Select(_ => pieces[random.Next(pieces.Length)])));
            try
            {
                HttpTable.ParseJson(text, ["result"]);
            }
            catch (RemoteFailure)
            {
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {seed}", failure);
            }
        }
    }
}
