using System.Net;
using System.Net.Sockets;
using DnsClient;
using DnsClient.Protocol;
using Postwright.Core.Seams;
using MxRecord = Postwright.Core.Seams.MxRecord;

namespace Postwright.Core.Posix;

/// <summary>
/// DNS through the servers of /etc/resolv.conf, and /etc/hosts where the system's resolver would look there first.
/// Nothing is cached: a mail server's caching resolver is its neighbour, and Postfix asks it each time too.
/// </summary>
public sealed class DnsResolver : IDnsResolver
{
    /// <summary>As Postfix: more records than this are no honest answer.</summary>
    private const int RecordLimit = 100;

    private readonly LookupClient _client;
    private readonly HostsFile _hosts;

    /// <summary>A resolver of this machine's configuration.</summary>
    public DnsResolver(TimeProvider timeProvider)
        : this(timeProvider, SystemServers(), "/etc/hosts")
    {
    }

    /// <summary>A resolver that asks the given servers.</summary>
    internal DnsResolver(TimeProvider timeProvider, NameServer[] servers, string hostsFile)
    {
        _hosts = new HostsFile(hostsFile, timeProvider);
        _client = new LookupClient(new LookupClientOptions(servers)
        {
            UseCache = false,
            ThrowDnsErrors = false,
            Timeout = TimeSpan.FromSeconds(5),
            Retries = 2,
            UseTcpFallback = true,
            ContinueOnDnsError = true,
            ContinueOnEmptyResponse = false,
        });
    }

    /// <inheritdoc />
    public ValueTask<DnsAnswer<MxRecord>> QueryMxAsync(string domain, CancellationToken cancellationToken) =>
        QueryAsync<MxRecord>(domain, QueryType.MX, static (record, found) =>
        {
            if (record is DnsClient.Protocol.MxRecord mx)
            {
                found.Add(new MxRecord(mx.Preference, NameOf(mx.Exchange)));
            }
        }, cancellationToken);

    /// <inheritdoc />
    public ValueTask<DnsAnswer<IPAddress>> QueryAAsync(string host, CancellationToken cancellationToken) =>
        QueryAsync<IPAddress>(host, QueryType.A, static (record, found) =>
        {
            if (record is ARecord a)
            {
                found.Add(a.Address);
            }
        }, cancellationToken);

    /// <inheritdoc />
    public ValueTask<DnsAnswer<IPAddress>> QueryAaaaAsync(string host, CancellationToken cancellationToken) =>
        QueryAsync<IPAddress>(host, QueryType.AAAA, static (record, found) =>
        {
            if (record is AaaaRecord aaaa)
            {
                found.Add(aaaa.Address);
            }
        }, cancellationToken);

    /// <inheritdoc />
    public ValueTask<DnsAnswer<string>> QueryPtrAsync(IPAddress address, CancellationToken cancellationToken)
    {
        if (_hosts.NameOf(address) is { } name)
        {
            return ValueTask.FromResult(new DnsAnswer<string>(DnsStatus.Found, [name], null));
        }

        return QueryAsync<string>(address.GetArpaName(), QueryType.PTR, static (record, found) =>
        {
            if (record is PtrRecord ptr)
            {
                found.Add(NameOf(ptr.PtrDomainName));
            }
        }, cancellationToken);
    }

    /// <inheritdoc />
    public async ValueTask<DnsAnswer<IPAddress>> LookupHostAsync(string host, CancellationToken cancellationToken)
    {
        if (_hosts.AddressesOf(host) is { Count: > 0 } known)
        {
            return new DnsAnswer<IPAddress>(DnsStatus.Found, known, null);
        }

        DnsAnswer<IPAddress> four = await QueryAAsync(host, cancellationToken);
        DnsAnswer<IPAddress> six = await QueryAaaaAsync(host, cancellationToken);
        if (four.Status == DnsStatus.Found || six.Status == DnsStatus.Found)
        {
            return new DnsAnswer<IPAddress>(DnsStatus.Found, [.. four.Records, .. six.Records], null);
        }

        return four.Status == DnsStatus.TemporaryError || six.Status != DnsStatus.TemporaryError ? four : six;
    }

    private static NameServer[] SystemServers()
    {
        // Without the library's fallback: a machine without servers must not ask somebody else's.
        NameServer[] servers = [.. NameServer.ResolveNameServers(skipIPv6SiteLocal: true, fallbackToGooglePublicDns: false)];
        return servers.Length > 0 ? servers : [new NameServer(IPAddress.Loopback)];
    }

    private async ValueTask<DnsAnswer<T>> QueryAsync<T>(string name, QueryType type, Action<DnsResourceRecord, List<T>> read, CancellationToken cancellationToken)
    {
        IDnsQueryResponse response;
        try
        {
            response = await _client.QueryAsync(name, type, QueryClass.IN, cancellationToken);
        }
        catch (Exception failure) when (failure is DnsResponseException or SocketException or IOException or ArgumentException
            || (failure is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            // A name that cannot be put into a query does not exist; everything else may work later.
            return failure is ArgumentException
                ? Failed<T>(name, type, DnsStatus.NoSuchName, "Host not found")
                : Failed<T>(name, type, DnsStatus.TemporaryError, "Host not found, try again");
        }

        switch (response.Header.ResponseCode)
        {
            case DnsHeaderResponseCode.NoError:
                List<T> records = [];
                foreach (DnsResourceRecord record in response.Answers.Take(RecordLimit))
                {
                    read(record, records);
                }

                return records.Count > 0
                    ? new DnsAnswer<T>(DnsStatus.Found, records, null)
                    : Failed<T>(name, type, DnsStatus.NoData, "Host found but no data record of requested type");
            case DnsHeaderResponseCode.NotExistentDomain:
                return Failed<T>(name, type, DnsStatus.NoSuchName, "Host not found");
            default:
                return Failed<T>(name, type, DnsStatus.TemporaryError, "Host not found, try again");
        }
    }

    private static DnsAnswer<T> Failed<T>(string name, QueryType type, DnsStatus status, string why) =>
        new(status, [], $"Host or domain name not found. Name service error for name={name} type={type}: {why}");

    private static string NameOf(DnsString name)
    {
        string text = name.Value;
        return text.Length > 1 ? text.TrimEnd('.') : text;
    }
}
