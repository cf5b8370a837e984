using System.Net;
using System.Net.Sockets;
using Postwright.Core.Seams;

namespace Postwright.Testing.Dns;

/// <summary>
/// A zone in memory. Names that are not in it do not exist; names marked failing give temporary errors. Keeps the queries
/// that were asked, as <c>MX example.org</c>.
/// </summary>
public sealed class FakeDns : IDnsResolver
{
    private readonly Dictionary<string, List<MxRecord>> _mx = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, List<IPAddress>> _addresses = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<IPAddress, string> _names = [];
    private readonly HashSet<string> _failing = new(StringComparer.OrdinalIgnoreCase);
    private readonly Lock _lock = new();
    private readonly List<string> _queries = [];

    /// <summary>The queries so far.</summary>
    public IReadOnlyList<string> Queries
    {
        get
        {
            lock (_lock)
            {
                return [.. _queries];
            }
        }
    }

    public FakeDns Mx(string domain, int preference, string exchange)
    {
        Of(_mx, domain).Add(new MxRecord(preference, exchange));
        return this;
    }

    public FakeDns Host(string name, params string[] addresses)
    {
        Of(_addresses, name).AddRange(addresses.Select(IPAddress.Parse));
        return this;
    }

    public FakeDns Name(string address, string name)
    {
        _names[IPAddress.Parse(address)] = name;
        return this;
    }

    public FakeDns Failing(string name)
    {
        _failing.Add(name);
        return this;
    }

    public ValueTask<DnsAnswer<MxRecord>> QueryMxAsync(string domain, CancellationToken cancellationToken) =>
        Answer("MX", domain, _mx.GetValueOrDefault(domain));

    public ValueTask<DnsAnswer<IPAddress>> QueryAAsync(string host, CancellationToken cancellationToken) =>
        Answer("A", host, _addresses.GetValueOrDefault(host)?.FindAll(address => address.AddressFamily == AddressFamily.InterNetwork));

    public ValueTask<DnsAnswer<IPAddress>> QueryAaaaAsync(string host, CancellationToken cancellationToken) =>
        Answer("AAAA", host, _addresses.GetValueOrDefault(host)?.FindAll(address => address.AddressFamily == AddressFamily.InterNetworkV6));

    public ValueTask<DnsAnswer<string>> QueryPtrAsync(IPAddress address, CancellationToken cancellationToken) =>
        Answer("PTR", address.ToString(), _names.TryGetValue(address, out string? name) ? new List<string> { name } : null);

    public ValueTask<DnsAnswer<IPAddress>> LookupHostAsync(string host, CancellationToken cancellationToken) =>
        Answer("HOST", host, _addresses.GetValueOrDefault(host));

    private static List<T> Of<T>(Dictionary<string, List<T>> records, string name)
    {
        if (!records.TryGetValue(name, out List<T>? list))
        {
            records.Add(name, list = []);
        }

        return list;
    }

    private ValueTask<DnsAnswer<T>> Answer<T>(string type, string name, List<T>? records)
    {
        lock (_lock)
        {
            _queries.Add($"{type} {name}");
        }

        string error = $"Host or domain name not found. Name service error for name={name} type={type}: ";
        DnsAnswer<T> answer = _failing.Contains(name) ? new(DnsStatus.TemporaryError, [], error + "Host not found, try again")
            : records is { Count: > 0 } ? new(DnsStatus.Found, [.. records], null)
            : _mx.ContainsKey(name) || _addresses.ContainsKey(name)
                ? new(DnsStatus.NoData, [], error + "Host found but no data record of requested type")
                : new(DnsStatus.NoSuchName, [], error + "Host not found");
        return ValueTask.FromResult(answer);
    }
}
