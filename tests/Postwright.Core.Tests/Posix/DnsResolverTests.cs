using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using DnsClient;
using Postwright.Core.Posix;
using Postwright.Core.Seams;

namespace Postwright.Core.Tests.Posix;

public sealed class DnsResolverTests : IAsyncDisposable
{
    private readonly UdpClient _server = new(new IPEndPoint(IPAddress.Loopback, 0));
    private readonly CancellationTokenSource _stop = new();
    private readonly string _hosts = Path.GetTempFileName();
    private readonly Task _serving;
    private readonly DnsResolver _resolver;

    public DnsResolverTests()
    {
        File.WriteAllText(_hosts, "# comment\n127.0.0.9 nine.example nine # more\nnot-an-address x\n");
        _serving = ServeAsync();
        _resolver = new DnsResolver(TimeProvider.System, [new NameServer((IPEndPoint)_server.Client.LocalEndPoint!)], _hosts);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Mail_exchangers_come_with_their_preference_and_without_the_final_dot()
    {
        DnsAnswer<Postwright.Core.Seams.MxRecord> answer = await _resolver.QueryMxAsync("good.example", Token);
        Assert.Equal(DnsStatus.Found, answer.Status);
        Assert.Equal([new Postwright.Core.Seams.MxRecord(10, "mx.example")], answer.Records);
    }

    [Fact]
    public async Task Addresses_are_found() =>
        Assert.Equal([IPAddress.Parse("192.0.2.7")], (await _resolver.QueryAAsync("good.example", Token)).Records);

    [Fact]
    public async Task A_name_that_does_not_exist_is_not_a_failure_of_the_server()
    {
        DnsAnswer<IPAddress> answer = await _resolver.QueryAAsync("gone.example", Token);
        Assert.Equal(DnsStatus.NoSuchName, answer.Status);
        Assert.Equal("Host or domain name not found. Name service error for name=gone.example type=A: Host not found", answer.Error);
    }

    [Fact]
    public async Task A_name_without_the_record_is_told_from_one_that_does_not_exist() =>
        Assert.Equal(DnsStatus.NoData, (await _resolver.QueryMxAsync("empty.example", Token)).Status);

    [Fact]
    public async Task A_failing_server_is_temporary()
    {
        DnsAnswer<IPAddress> answer = await _resolver.QueryAAsync("servfail.example", Token);
        Assert.Equal(DnsStatus.TemporaryError, answer.Status);
        Assert.EndsWith("Host not found, try again", answer.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_hosts_file_names_addresses_and_hosts()
    {
        Assert.Equal(["nine.example"], (await _resolver.QueryPtrAsync(IPAddress.Parse("127.0.0.9"), Token)).Records);
        Assert.Equal([IPAddress.Parse("127.0.0.9")], (await _resolver.LookupHostAsync("NINE", Token)).Records);
        Assert.Equal(DnsStatus.NoSuchName, (await _resolver.LookupHostAsync("gone.example", Token)).Status);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving;
        _server.Dispose();
        _stop.Dispose();
        File.Delete(_hosts);
    }

    /// <summary>Answers by the first label of the name, for any type it knows.</summary>
    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                UdpReceiveResult query = await _server.ReceiveAsync(_stop.Token);
                await _server.SendAsync(Answer(query.Buffer), query.RemoteEndPoint, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private static byte[] Answer(byte[] query)
    {
        string first = Encoding.ASCII.GetString(query, 13, query[12]);
        int end = 12;
        while (query[end] != 0)
        {
            end += query[end] + 1;
        }

        int type = BinaryPrimitives.ReadUInt16BigEndian(query.AsSpan(end + 1));
        byte[]? data = (first, type) switch
        {
            ("good", 1) => [192, 0, 2, 7],
            ("good", 15) => [0, 10, 2, (byte)'m', (byte)'x', 7, .. "example"u8, 0],
            _ => null,
        };
        byte code = (byte)(first switch { "gone" => 3, "servfail" => 2, _ => 0 });
        List<byte> reply = [query[0], query[1], 0x81, (byte)(0x80 | code), 0, 1, 0, (byte)(data is null ? 0 : 1), 0, 0, 0, 0];
        reply.AddRange(query.AsSpan(12, end + 5 - 12));
        if (data is not null)
        {
            reply.AddRange([0xc0, 12, 0, (byte)type, 0, 1, 0, 0, 0, 60, 0, (byte)data.Length]);
            reply.AddRange(data);
        }

        return [.. reply];
    }
}
