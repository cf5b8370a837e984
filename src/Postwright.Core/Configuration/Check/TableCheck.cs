using System.Net;
using Postwright.Core.Posix;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;

namespace Postwright.Core.Configuration.Check;

/// <summary>
/// Tables and files that values name: types that cannot be opened, files that are not there, databases older than their source;
/// and address patterns that match nothing. What is not implemented opens no table. All of it warns: a table that cannot be asked defers mail, it lets none through.
/// </summary>
internal static class TableCheck
{
    private static readonly string[] FileLists =
        ["mydestination", "mynetworks", "relay_domains", "virtual_alias_domains", "virtual_mailbox_domains", "smtpd_authorized_xclient_hosts"];

    public static void Run(CheckScope scope, CheckReport report)
    {
        foreach (Setting setting in scope.Settings)
        {
            if (ParameterTable.Find(setting.Name) is not { Kind: not ParameterKind.Raw, Support: ParameterSupport.Implemented } row)
            {
                continue;
            }

            IReadOnlyList<string> elements = ConfigurationList.Split(scope.Configuration.Expand(setting.Value, setting.Name));
            foreach (TableReference table in TableReference.In(elements))
            {
                CheckTable(setting, table, report);
            }

            if (FileLists.Contains(row.Name))
            {
                foreach (string file in elements.Select(e => e.TrimStart('!')).Where(e => e.StartsWith('/') && !SystemFiles.Exists(e)))
                {
                    report.Warn(setting.File, setting.Line, $"{setting.Name}: open file {file}: No such file or directory");
                }
            }

            // A value that only refers to another parameter is checked there.
            if (row.Name is "mynetworks" or "smtpd_authorized_xclient_hosts" or "smtpd_client_event_limit_exceptions" && !setting.Value.StartsWith('$'))
            {
                foreach (string element in elements)
                {
                    CheckNetwork(setting, element.TrimStart('!'), report);
                }
            }
        }
    }

    private static void CheckTable(Setting setting, TableReference table, CheckReport report)
    {
        if (!TableRegistry.SupportedTypes.Contains(table.Type))
        {
            report.Warn(setting.File, setting.Line, $"{setting.Name}: unsupported dictionary type: {table.Type}; lookups in {table} fail, and the mail that needs them waits");
            return;
        }

        if (setting.Name is "virtual_uid_maps" or "virtual_gid_maps" && RemoteTypes.ServersIn(table.ToString()).Any())
        {
            report.Warn(setting.File, setting.Line,
                $"{setting.Name}: tables on servers do not say whose rights a delivery has: mail that needs {table} waits");
        }

        foreach (string refusal in Refusals(setting.Name, table))
        {
            report.Warn(setting.File, setting.Line, $"{setting.Name}: {refusal}: mail that needs it waits");
        }

        string tool = setting.Name is "alias_maps" or "alias_database" ? "postalias" : "postmap";
        if (table.IsPlain && !SystemFiles.Exists(table.Name))
        {
            report.Warn(setting.File, setting.Line, $"{setting.Name}: open {table.Name}: No such file or directory");
        }
        else if (table.IsIndexed)
        {
            string database = Path.GetFullPath(table.Name + ".db");
            if (!SystemFiles.Exists(database))
            {
                report.Warn(setting.File, setting.Line, $"{setting.Name}: open database {database}: No such file or directory; run {tool} {table}");
            }
            else if (SystemFiles.Exists(table.Name) && SystemFiles.LastWriteTimeUtc(table.Name) > SystemFiles.LastWriteTimeUtc(database))
            {
                report.Warn(setting.File, setting.Line, $"{setting.Name}: database {database} is older than source file {table.Name}; run {tool} {table}");
            }
        }
    }

    /// <summary>What the delivery agents say to a table that they do not take.</summary>
    private static IEnumerable<string> Refusals(string parameter, TableReference table) => parameter is "alias_maps" or "virtual_mailbox_maps"
        ? RemoteTypes.ServersIn(table.ToString())
            .Select(server => RemoteTypes.Refusal(server[..server.IndexOf(':', StringComparison.Ordinal)], server, TableSecurity.Mailboxes)).OfType<string>()
        : [];

    private static void CheckNetwork(Setting setting, string element, CheckReport report)
    {
        int slash = element.IndexOf('/', StringComparison.Ordinal);
        if (slash <= 0 || element.Contains(':', StringComparison.Ordinal) && !element.StartsWith('['))
        {
            return;
        }

        string text = element[..slash].Trim('[', ']');
        if (!IPAddress.TryParse(text, out IPAddress? address) || !int.TryParse(element[(slash + 1)..], out int bits))
        {
            report.Warn(setting.File, setting.Line, $"{setting.Name}: bad net/mask pattern: \"{element}\"; write 192.0.2.0/24, or [2001:db8::]/32");
            return;
        }

        byte[] bytes = address.GetAddressBytes();
        if (bits < 0 || bits > bytes.Length * 8)
        {
            report.Warn(setting.File, setting.Line, $"{setting.Name}: bad net/mask pattern: \"{element}\"; the mask has 0 to {bytes.Length * 8} bits");
            return;
        }

        for (int bit = bits; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        var network = new IPAddress(bytes);
        if (!network.Equals(address))
        {
            string right = bytes.Length == 4 ? $"{network}/{bits}" : $"[{network}]/{bits}";
            report.Warn(setting.File, setting.Line, $"{setting.Name}: non-null host address bits in \"{element}\", perhaps you should use \"{right}\" instead");
        }
    }
}
