using System.Text;
using Postwright.Core.Tables.Remote;
using Postwright.Testing;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.Core.Tests.Tables.Remote;

/// <summary>A Redis server with a password, on TCP, TLS and a unix-domain socket.</summary>
public sealed class RedisServer : IAsyncLifetime
{
    private RedisInstance? _server;

    public static bool IsInstalled => RedisInstance.IsInstalled;

    public RealServer Server => Own.Server;

    public int Port => Own.Port;

    public int TlsPort => Own.TlsPort;

    private RedisInstance Own => _server ?? throw new InvalidOperationException("Redis is not installed");

    public async ValueTask InitializeAsync()
    {
        if (!IsInstalled)
        {
            return;
        }

        _server = await RedisInstance.MakeAsync();
        await _server.Server.StartAsync();
        await FillAsync();
    }

    public async Task FillAsync()
    {
        Assert.Equal("+OK", await Own.TellAsync("SET joe@example.com 'joe@inside v\u00e9'"));
        Assert.Equal("+OK", await Own.TellAsync("SET 'a b' blank"));
        Assert.Equal(":1", await Own.TellAsync("HSET aliases root admin"));
        Assert.Equal(":1", await Own.TellAsync("RPUSH list x"));
        Assert.Equal("+OK", await Own.TellAsync("ACL SETUSER mail on >word ~* +get +hget +select"));
        Assert.Equal("+OK", await Own.TellAsync("SELECT 3\r\nSET three 3", 2));
    }

    public ValueTask DisposeAsync() => _server?.DisposeAsync() ?? ValueTask.CompletedTask;
}

/// <summary>redis: against a Redis server.</summary>
public sealed class RedisTableTests(RedisServer redis) : IClassFixture<RedisServer>, IDisposable
{
    private readonly RemoteRig _rig = new(time: TimeProvider.System);

    public void Dispose() => _rig.Dispose();

    private string Where
    {
        get
        {
            Assert.SkipUnless(RedisServer.IsInstalled, "Redis is not installed");
            return $"hosts = inet:127.0.0.1:{redis.Port}\npassword = secret\ntimeout = 50\n";
        }
    }

    [Fact]
    public async Task Strings_and_fields_of_a_hash_are_values()
    {
        string plain = _rig.Configure("redis", Where);
        Assert.Equal(["joe@inside v\u00e9", "-", "blank"], [await _rig.AskAsync(plain, "joe@example.com"), await _rig.AskAsync(plain, "none"), await _rig.AskAsync(plain, "a b")]);
        string hash = _rig.Configure("redis", Where + "hash = aliases\n");
        Assert.Equal(["admin", "-"], [await _rig.AskAsync(hash, "root"), await _rig.AskAsync(hash, "none")]);
        Assert.Equal("3", await _rig.AskAsync(_rig.Configure("redis", Where + "dbname = 3\n"), "three"));
        Assert.Equal("smtp:[inside v\u00e9]", await _rig.AskAsync(_rig.Configure("redis", Where + "key_format = %u@example.com\nresult_format = smtp:[%d]\n"), "joe@other"));
        Assert.Equal("!", await _rig.AskAsync(plain, "list"));
        Assert.Equal("-", await _rig.AskAsync(plain, "x\r\nDEL joe@example.com"));
        Assert.Equal("joe@inside v\u00e9", await _rig.AskAsync(plain, "joe@example.com"));
    }

    [Fact]
    public async Task Logging_in_needs_the_password()
    {
        string where = Where.Replace("password = secret\n", "", StringComparison.Ordinal);
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("redis", where), "none"));
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("redis", where + "password = wrong\n"), "none"));
        Assert.Equal("-", await _rig.AskAsync(_rig.Configure("redis", where + "user = mail\npassword = word\n"), "none"));
        Assert.DoesNotContain(_rig.Log.All, static line => line.Contains("wrong", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Tls_and_unix_domain_sockets_work()
    {
        _ = Where;
        string tls = $"hosts = 127.0.0.1:{redis.TlsPort}\npassword = secret\ntls = yes\n";
        Assert.Equal("blank", await _rig.AskAsync(_rig.Configure("redis", tls + $"tls_CAfile = {redis.Server.Folder}/ca.pem\n"), "a b"));
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("redis", tls), "a b"));
        Assert.Equal("blank", await _rig.AskAsync(_rig.Configure("redis", tls + "tls_verify_cert = no\n"), "a b"));
        Assert.Equal("blank", await _rig.AskAsync(_rig.Configure("redis", $"hosts = unix:{redis.Server.Folder}/sock\npassword = secret\n"), "a b"));
    }

    [Fact]
    public async Task Down_slow_and_back_it_is_an_error_for_as_long() =>
        await ServerStates.RunAsync(_rig, redis.Server, _rig.Configure("redis", Where), "a b", "blank", redis.FillAsync);

    [Theory]
    [InlineData("$2\r\nhi\r\n", "hi")]
    [InlineData("$0\r\n\r\n", "-")]
    [InlineData("$-1\r\n", "-")]
    [InlineData("+hi\r\n", "hi")]
    [InlineData("$2\r\nhi!!", "!")]
    [InlineData("$2\r\nh", "!")]
    [InlineData("$9999999\r\n", "!")]
    [InlineData("$-2\r\n", "!")]
    [InlineData("*1\r\n$2\r\nhi\r\n", "!")]
    [InlineData("-ERR no\r\n", "!")]
    [InlineData("\r\n", "!")]
    public async Task Only_a_whole_text_is_an_answer(string reply, string expected)
    {
        await using TableServer server = new(async (stream, _) =>
        {
            await stream.ReadAtLeastAsync(new byte[100], 10);
            await stream.WriteAsync(Encoding.ASCII.GetBytes(reply));
        });
        Assert.Equal(expected, await _rig.AskAsync(_rig.Configure("redis", $"hosts = 127.0.0.1:{server.Port}\n"), "k"));
    }

    [Fact]
    public void Whatever_comes_is_read_without_another_exception()
    {
        FuzzTime fuzz = new(200_000);
        for (int seed = 1; fuzz.Includes(seed); seed++)
        {
            Random random = new(seed);
            byte[] line = new byte[random.Next(12)];
            for (int i = 0; i < line.Length; i++)
            {
                line[i] = random.Next(4) == 0 ? (byte)random.Next(256) : "+-:$*0129\r"u8[random.Next(10)];
            }

            try
            {
                Assert.InRange(RedisTable.ParseLine(line).Length, -1, 1 << 20);
            }
            catch (RemoteFailure)
            {
            }
        }
    }
}
