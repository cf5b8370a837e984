namespace Postwright.Core.Tables.Remote.Mongodb;

/// <summary>A connection string, <c>mongodb://user:password@host:port,host/database?options</c>.</summary>
internal sealed record MongodbUri
{
    /// <summary>The servers, in order.</summary>
    public required IReadOnlyList<RemoteEndpoint> Hosts { get; init; }

    /// <summary>Empty where nobody logs in.</summary>
    public required string User { get; init; }

    public required string Password { get; init; }

    /// <summary>Where the user is known.</summary>
    public required string AuthenticationDatabase { get; init; }

    /// <summary>Null where TLS is not asked for.</summary>
    public RemoteTls? Tls { get; init; }

    /// <summary>Reads a connection string; its messages never show the password.</summary>
    /// <exception cref="RemoteConfigurationException">It is none, or asks for what is not supported.</exception>
    public static MongodbUri Parse(string text)
    {
        const string Scheme = "mongodb://";
        if (!text.StartsWith(Scheme, StringComparison.Ordinal))
        {
            throw new RemoteConfigurationException("uri must begin with mongodb:// (mongodb+srv:// is not supported)");
        }

        string rest = text[Scheme.Length..];
        string[] query = rest.Split('?', 2);
        int at = query[0].LastIndexOf('@');
        string[] user = at < 0 ? ["", ""] : query[0][..at].Split(':', 2);
        string[] place = query[0][(at + 1)..].Split('/', 2);
        Dictionary<string, string> options = Options(query.Length > 1 ? query[1] : "");
        string database = place.Length > 1 && place[1].Length > 0 ? Uri.UnescapeDataString(place[1]) : "admin";
        bool hasTls = options.GetValueOrDefault("tls", options.GetValueOrDefault("ssl", "false")) == "true";
        bool verifies = options.GetValueOrDefault("tlsinsecure") != "true" && options.GetValueOrDefault("tlsallowinvalidcertificates") != "true";
        RemoteEndpoint[] hosts =
        [
            .. place[0].Split(',', StringSplitOptions.RemoveEmptyEntries).Select(static host => host.EndsWith(".sock", StringComparison.Ordinal)
                ? new RemoteEndpoint("", 0, Uri.UnescapeDataString(host))
                : RemoteEndpoint.Parse(host, 27017)),
        ];
        return new MongodbUri
        {
            Hosts = hosts.Length > 0 ? hosts : throw new RemoteConfigurationException("uri must name a host"),
            User = Uri.UnescapeDataString(user[0]),
            Password = user.Length > 1 ? Uri.UnescapeDataString(user[1]) : "",
            AuthenticationDatabase = options.GetValueOrDefault("authsource", database),
            Tls = !hasTls ? null : new RemoteTls
            {
                VerifiesChain = verifies,
                VerifiesName = verifies && options.GetValueOrDefault("tlsallowinvalidhostnames") != "true",
                AuthorityFile = options.GetValueOrDefault("tlscafile"),
                CertificateFile = options.GetValueOrDefault("tlscertificatekeyfile"),
            },
        };
    }

    private static Dictionary<string, string> Options(string query)
    {
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string pair in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = pair.Split('=', 2);
            string name = parts[0].ToLowerInvariant();
            string value = parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : "";
            bool isKnown = name switch
            {
                "tls" or "ssl" or "tlscafile" or "tlscertificatekeyfile" or "tlsinsecure" or "tlsallowinvalidcertificates" or "tlsallowinvalidhostnames" or "authsource" => true,

                // Any member that answers will do for a lookup; time-outs and the pool are the table's.
                "replicaset" or "directconnection" or "appname" or "retryreads" or "retrywrites" or "w" or "readpreference" => true,
                "authmechanism" => value == "SCRAM-SHA-256",
                _ => false,
            };
            options[name] = isKnown ? value : throw new RemoteConfigurationException($"uri: {parts[0]} is not supported");
        }

        return options;
    }
}
