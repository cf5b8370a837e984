using System.Net.Sockets;
using Postwright.Testing.Network;

namespace Postwright.Testing.Processes;

/// <summary>An OpenLDAP server of a test with the suffix dc=example,dc=com, on free ports of 127.0.0.1 and on a unix-domain socket.</summary>
public sealed class SlapdServer : IAsyncDisposable
{
    private const string Program = "/usr/sbin/slapd";

    private SlapdServer(RealServer server, int port, int tlsPort)
    {
        Server = server;
        Port = port;
        TlsPort = tlsPort;
    }

    /// <summary>True where OpenLDAP is installed.</summary>
    public static bool IsInstalled { get; } = File.Exists(Program) && File.Exists("/usr/sbin/slapadd");

    /// <summary>The process.</summary>
    public RealServer Server { get; }

    /// <summary>The port for <c>ldap:</c>.</summary>
    public int Port { get; }

    /// <summary>The port for <c>ldaps:</c>.</summary>
    public int TlsPort { get; }

    /// <summary>Makes a server with content and leaves it down.</summary>
    /// <param name="content">LDIF; cn=admin,dc=example,dc=com has the password secret.</param>
    public static async Task<SlapdServer> MakeAsync(string content)
    {
        int port = FreePort.Next();
        int tlsPort = FreePort.Next();
        string folder = await RealServer.MakeFolderAsync("openldap");
        TestCertificate.Write(folder);
        string key = await File.ReadAllTextAsync(Path.Combine(folder, "server.key"));
        await RealServer.RunAsAsync("openldap", "/bin/sh", ["-c", $"umask 077; cat >{folder}/own.key; mkdir {folder}/db"], key);
        await RealServer.RunAsAsync("openldap", "/bin/sh", ["-c", $"cat >{folder}/slapd.conf"], $"""
            include /etc/ldap/schema/core.schema
            include /etc/ldap/schema/cosine.schema
            include /etc/ldap/schema/inetorgperson.schema
            modulepath /usr/lib/ldap
            moduleload back_mdb
            TLSCACertificateFile {folder}/ca.pem
            TLSCertificateFile {folder}/server.pem
            TLSCertificateKeyFile {folder}/own.key
            database mdb
            maxsize 16777216
            suffix "dc=example,dc=com"
            rootdn "cn=admin,dc=example,dc=com"
            rootpw secret
            directory {folder}/db
            access to * by anonymous read by * read

            """);
        await RealServer.RunAsAsync("openldap", "/usr/sbin/slapadd", ["-q", "-f", $"{folder}/slapd.conf"], content);
        return new SlapdServer(
            new RealServer(
                folder, "openldap", Program,
                ["-f", $"{folder}/slapd.conf", "-h", $"ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tlsPort} ldapi://{Uri.EscapeDataString(folder + "/ldapi")}", "-d", "0"],
                () => Task.FromResult(IsOpen(port))),
            port,
            tlsPort);
    }

    /// <inheritdoc />
    public ValueTask DisposeAsync() => Server.DisposeAsync();

    private static bool IsOpen(int port)
    {
        try
        {
            using TcpClient client = new("127.0.0.1", port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
