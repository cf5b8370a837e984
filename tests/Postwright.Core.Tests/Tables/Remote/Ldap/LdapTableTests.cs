using System.Formats.Asn1;
using System.Text;
using Postwright.Core.Tables.Remote;
using Postwright.Core.Tables.Remote.Ldap;
using Postwright.Testing;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.Core.Tests.Tables.Remote.Ldap;

/// <summary>An OpenLDAP server with people, groups and groups of groups.</summary>
public sealed class LdapServer : IAsyncLifetime
{
    private const string Content = """
        dn: dc=example,dc=com
        objectClass: dcObject
        objectClass: organization
        o: Example
        dc: example

        dn: ou=example.com,dc=example,dc=com
        objectClass: organizationalUnit
        ou: example.com

        dn: uid=joe,ou=example.com,dc=example,dc=com
        objectClass: inetOrgPerson
        cn: Joe
        sn: Joe
        uid: joe
        mail: joe@example.com
        mail: joe@inside.example
        description: uid=jim,ou=example.com,dc=example,dc=com

        dn: uid=jim,ou=example.com,dc=example,dc=com
        objectClass: inetOrgPerson
        cn: Jim (the \*) one
        sn: Jim
        uid: jim
        mail: jim@example.com
        employeeNumber: 7

        dn: cn=all,ou=example.com,dc=example,dc=com
        objectClass: groupOfNames
        objectClass: extensibleObject
        cn: all
        mail: all@example.com
        member: uid=joe,ou=example.com,dc=example,dc=com
        member: cn=some,ou=example.com,dc=example,dc=com
        member: uid=nobody,ou=example.com,dc=example,dc=com

        dn: cn=some,ou=example.com,dc=example,dc=com
        objectClass: groupOfNames
        objectClass: extensibleObject
        cn: some
        mail: some@example.com
        member: uid=jim,ou=example.com,dc=example,dc=com

        dn: cn=url,ou=example.com,dc=example,dc=com
        objectClass: groupOfNames
        objectClass: extensibleObject
        cn: url
        mail: url@example.com
        member: cn=none
        labeledURI: ldap:///ou=example.com,dc=example,dc=com?mail?one?(employeeNumber=7)

        dn: cn=ends,ou=example.com,dc=example,dc=com
        objectClass: groupOfNames
        objectClass: extensibleObject
        cn: ends
        mail: ends@example.com
        member: uid=jim,ou=example.com,dc=example,dc=com
        employeeType: elsewhere@list.example

        dn: cn=circle,ou=example.com,dc=example,dc=com
        objectClass: groupOfNames
        objectClass: extensibleObject
        cn: circle
        mail: circle@example.com
        member: cn=circle,ou=example.com,dc=example,dc=com

        """;

    private SlapdServer? _server;

    public static bool IsInstalled => SlapdServer.IsInstalled;

    public RealServer Server => Own.Server;

    public int Port => Own.Port;

    public int TlsPort => Own.TlsPort;

    public string Socket => Path.Combine(Server.Folder, "ldapi");

    private SlapdServer Own => _server ?? throw new InvalidOperationException("OpenLDAP is not installed");

    public async ValueTask InitializeAsync()
    {
        if (!IsInstalled)
        {
            return;
        }

        _server = await SlapdServer.MakeAsync(Content);
        await _server.Server.StartAsync();
    }

    public ValueTask DisposeAsync() => _server?.DisposeAsync() ?? ValueTask.CompletedTask;
}

/// <summary>ldap: against an OpenLDAP server, beside the real Postfix.</summary>
public sealed class LdapTableTests(LdapServer ldap) : IClassFixture<LdapServer>, IDisposable
{
    private const string Groups = "query_filter = mail=%s\nresult_attribute =\nleaf_result_attribute = mail\nspecial_result_attribute = member, labeledURI\n";

    private static readonly string[] Settings =
    [
        "query_filter = mail=%s\nresult_attribute = mail\n",
        "query_filter = (&(objectClass=inetOrgPerson)(|(mail=%s)(uid=%u)))\nresult_attribute = mail, uid\n",
        "query_filter = (uid=%u)\nresult_attribute = mail\nresult_format = [%d]:%u/%U\n",
        "search_base = ou=%d,dc=example,dc=com\nquery_filter = (uid=%u)\nresult_attribute = uid\nscope = one\n",
        "query_filter = (cn=%s)\nresult_attribute = uid\n",
        "query_filter = (cn=*%s*)\nresult_attribute = uid, cn\n",
        "query_filter = (&(uid=%s)(!(employeeNumber=*)))\nresult_attribute = uid\n",
        "query_filter = (uid~=%s)\nresult_attribute = uid\n",
        "query_filter = (&(employeeNumber>=5)(uid:dn:caseIgnoreMatch:=%s))\nresult_attribute = uid\n",
        Groups,
        Groups + "recursion_limit = 1\n",
        Groups + "expansion_limit = 2\n",
        Groups.Replace("result_attribute =\n", "result_attribute = cn\n", StringComparison.Ordinal) + "terminal_result_attribute = employeeType\n",
        "query_filter = mail=%s\nresult_attribute = description\nspecial_result_attribute = description\n",
        "query_filter = (objectClass=inetOrgPerson)\nresult_attribute = uid\nsize_limit = 1\n",
        "query_filter = (mail=%s\nresult_attribute = mail\n",
        "query_filter = mail=%s\nresult_attribute = mail\nresult_filter = x:%s\ndomain = inside.example\n",
        "search_base = dc=nowhere\nquery_filter = mail=%s\nresult_attribute = mail\n",
        "query_filter = mail=%s\nresult_attribute = mail\nbind = no\n",
        "query_filter = mail=%s\nresult_attribute = mail\nbind_dn = cn=admin,dc=example,dc=com\nbind_pw = secret\n",
        "query_filter = mail=%s\nresult_attribute = mail\nbind_dn = cn=admin,dc=example,dc=com\nbind_pw = wrong\n",
        "query_filter = mail=%s\nresult_attribute = mail\nversion = 2\n",
    ];

    private static readonly string[] Keys =
    [
        "joe@example.com", "joe", "jim", "all@example.com", "some@example.com", "url@example.com", "ends@example.com", "circle@example.com", "Jim (the \\*) one", "*", "m",
        "x)(uid=*", @"\2a", "none@example.com", "joe@other.example", "joe@example.com,dc=x", "jim@inside.example",
    ];

    private readonly RemoteRig _rig = new(time: TimeProvider.System);

    public void Dispose() => _rig.Dispose();

    private string Where
    {
        get
        {
            Assert.SkipUnless(LdapServer.IsInstalled, "OpenLDAP is not installed");
            return $"server_host = 127.0.0.1\nserver_port = {ldap.Port}\nsearch_base = dc=example,dc=com\nversion = 3\ntimeout = 50\n";
        }
    }

    [Fact]
    public Task Answers_are_those_of_postfix() => PostfixAnswers.CompareAsync(_rig, "ldap", Where, Settings, Keys);

    [Fact]
    public async Task Groups_are_followed_to_their_members()
    {
        string table = _rig.Configure("ldap", Where + Groups);
        Assert.Equal("joe@example.com,joe@inside.example,jim@example.com", await _rig.AskAsync(table, "all@example.com"));
        Assert.Equal("!", await _rig.AskAsync(table, "circle@example.com"));
    }

    [Fact]
    public async Task Tls_and_the_local_socket_work()
    {
        string rest = "search_base = dc=example,dc=com\nversion = 3\nquery_filter = uid=%s\nresult_attribute = uid\n";
        _ = Where;
        string authority = $"tls_require_cert = yes\ntls_ca_cert_file = {ldap.Server.Folder}/ca.pem\n";
        string starting = $"server_host = ldap://127.0.0.1:{ldap.Port}\nstart_tls = yes\n";
        Assert.Equal("joe", await _rig.AskAsync(_rig.Configure("ldap", rest + starting + authority), "joe"));
        Assert.Equal("joe", await _rig.AskAsync(_rig.Configure("ldap", rest + $"server_host = ldaps://127.0.0.1:{ldap.TlsPort}\n" + authority), "joe"));
        Assert.Equal("joe", await _rig.AskAsync(_rig.Configure("ldap", rest + starting), "joe"));
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("ldap", rest + starting + "tls_require_cert = yes\n"), "joe"));
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("ldap", rest + $"server_host = ldaps://127.0.0.2:{ldap.TlsPort}\n" + authority), "joe"));
        Assert.Equal("joe", await _rig.AskAsync(_rig.Configure("ldap", rest + $"server_host = ldapi://{Uri.EscapeDataString(ldap.Socket)}\n"), "joe"));
    }

    [Fact]
    public async Task Servers_are_tried_in_the_order_of_the_list()
    {
        _ = Where;
        string table = _rig.Configure("ldap", Where.Replace("127.0.0.1", $"127.0.0.1:{FreePort.Next()}, ldap://127.0.0.1:{ldap.Port}", StringComparison.Ordinal) + "query_filter = uid=%s\nresult_attribute = uid\n");
        Assert.Equal(["joe", "jim"], [await _rig.AskAsync(table, "joe"), await _rig.AskAsync(table, "jim")]);
    }

    [Fact]
    public async Task Down_slow_and_back_it_is_an_error_for_as_long() =>
        await ServerStates.RunAsync(_rig, ldap.Server, _rig.Configure("ldap", Where + "query_filter = uid=%s\nresult_attribute = uid\n"), "joe", "joe");

    [Theory]
    [InlineData("start_tls = yes\nversion = 2\n", "version must be 3")]
    [InlineData("bind = sasl\nversion = 3\nsasl_mechs = GSSAPI\n", "sasl_mechs must have EXTERNAL or PLAIN")]
    [InlineData("scope = all\n", "scope must be sub, base or one")]
    [InlineData("chase_referrals = 1\n", "chase_referrals = 1 is not supported")]
    [InlineData("recursion_limit = 0\n", "recursion_limit must be a whole number, at least 1")]
    public Task Settings_that_cannot_be_used_are_errors_that_name_them(string settings, string reason) => _rig.RefusesAsync("ldap", settings, reason);

    [Fact]
    public void Whatever_a_server_sends_or_a_filter_says_is_read_without_another_exception()
    {
        AsnWriter writer = new(AsnEncodingRules.BER);
        using (writer.PushSequence())
        {
            writer.WriteInteger(1);
            using (writer.PushSequence(new Asn1Tag(TagClass.Application, 4)))
            {
                writer.WriteOctetString("cn=x"u8);
                using (writer.PushSequence())
                using (writer.PushSequence())
                {
                    writer.WriteOctetString("mail"u8);
                    using (writer.PushSetOf())
                    {
                        writer.WriteOctetString("a@b"u8);
                    }
                }
            }
        }

        byte[] message = writer.Encode();
        List<LdapEntry> entries = [];
        Assert.Null(LdapConnection.ParseSearchMessage(message, 1, entries));
        Assert.Equal(("mail", "a@b"), (entries[0].Attributes[0].Key, entries[0].Attributes[0].Value[0]));
        string[] pieces = ["(", ")", "&", "|", "!", "=", "*", "a", ":", ":dn:", ">=", "<=", "~=", "\\2a", "\\", " ", "\u00e9"];
        FuzzTime fuzz = new(100_000);
        for (int seed = 1; fuzz.Includes(seed); seed++)
        {
            Random random = new(seed);
            byte[] bytes = [.. message];
            for (int i = random.Next(1, 4); i > 0; i--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            if (random.Next(3) == 0)
            {
                // The end of a search begins as an entry does: two texts after a code.
                bytes[5] = 0x65;
                bytes[7] = 0x0a;
            }

            bytes = bytes[..random.Next(bytes.Length + 1)];
            string filter = string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => pieces[random.Next(pieces.Length)]));
            try
            {
                LdapConnection.MessageLength(bytes);
                LdapConnection.ParseSearchMessage(bytes, 1, []);
            }
            catch (RemoteFailure)
            {
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {seed}", failure);
            }

            try
            {
                LdapFilter.TryWrite(filter, new AsnWriter(AsnEncodingRules.BER));
                LdapFilter.TryWrite($"(a={LdapFilter.Quote(filter)})", new AsnWriter(AsnEncodingRules.BER));
                LdapUrl.Parse("ldap://" + filter.Replace('(', '?').Replace(')', '/'));
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {seed}: {filter}", failure);
            }
        }
    }

    [Fact]
    public void A_filter_that_is_nested_without_end_is_refused()
    {
        Assert.False(LdapFilter.TryWrite(new StringBuilder().Insert(0, "(!", 5000).Append("(a=b)").Append(')', 5000).ToString(), new AsnWriter(AsnEncodingRules.BER)));
        Assert.True(LdapFilter.TryWrite("(&(a=b)(|(c=d*e)(!(f=*))))", new AsnWriter(AsnEncodingRules.BER)));
    }
}
