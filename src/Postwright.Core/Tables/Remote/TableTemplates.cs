using System.Text;

namespace Postwright.Core.Tables.Remote;

// The %-templates of ldap_table(5), mysql_table(5) and their like. What a template needs of the key (a domain, a user, so many
// labels) is found when it is read; a key that lacks it, for the query or for the result, is not asked for. Parts of the key
// go into a query only through the protocol's own quoting, so that a key can never become syntax.

/// <summary>The query and result templates of one table.</summary>
/// <param name="table">The table's name, for warnings.</param>
/// <param name="warn">Takes warnings.</param>
internal sealed class TableTemplates(string table, Action<string> warn)
{
    private bool _keyDomain;
    private bool _keyUser;
    private bool _valueDomain;
    private bool _valueUser;
    private int _labels;

    /// <summary>Reads a template, and notes what it needs.</summary>
    /// <returns>The template itself.</returns>
    /// <exception cref="RemoteConfigurationException">There is an unknown % in it.</exception>
    public string Add(string template, bool isQuery)
    {
        for (int i = 0; i < template.Length; i++)
        {
            if (template[i] != '%')
            {
                continue;
            }

            char kind = ++i < template.Length ? template[i] : '\0';
            switch (kind)
            {
                case '%' or 's' or 'S':
                    break;
                case 'u':
                    _ = isQuery ? _keyUser = true : _valueUser = true;
                    break;
                case 'd':
                    _ = isQuery ? _keyDomain = true : _valueDomain = true;
                    break;
                case 'U':
                    _keyUser = true;
                    break;
                case 'D':
                    _keyDomain = true;
                    break;
                case >= '1' and <= '9':
                    _keyDomain = true;
                    _labels = Math.Max(_labels, kind - '0');
                    break;
                default:
                    throw new RemoteConfigurationException($"{table}: Invalid {(isQuery ? "query" : "result")} template: {template}");
            }
        }

        return template;
    }

    /// <summary>True when <paramref name="key"/> has all that the templates need; else there is nothing to ask for.</summary>
    public bool Accepts(string key)
    {
        if (key.Length == 0)
        {
            warn($"table \"{table}\": empty query string -- ignored");
            return false;
        }

        int at = key.LastIndexOf('@');
        bool hasDomain = at >= 0 && at + 1 < key.Length;
        return (!_keyDomain || hasDomain) && (!_keyUser || at != 0) && Labels(key, at) is not null;
    }

    /// <summary>A query for a key that <see cref="Accepts"/> says yes to.</summary>
    /// <param name="template">One that was added.</param>
    /// <param name="key">The key.</param>
    /// <param name="quote">Makes a part of the key safe within the query.</param>
    public string Query(string template, string key, Func<string, string> quote) => Expand(template, key, key, quote);

    /// <summary>A result, or null for one that is left out: empty, or without a part that the template needs.</summary>
    public string? Result(string template, string? value, string key)
    {
        if (value is null)
        {
            return null;
        }

        if (value.Length == 0)
        {
            warn($"table \"{table}\": empty lookup result for: \"{key}\" -- ignored");
            return null;
        }

        int at = value.LastIndexOf('@');
        return (_valueDomain && (at < 0 || at + 1 == value.Length)) || (_valueUser && at == 0) ? null : Expand(template, value, key, static part => part);
    }

    private string[]? Labels(string key, int at)
    {
        if (_labels == 0)
        {
            return [];
        }

        string[] labels = key[(at + 1)..].Split('.', StringSplitOptions.RemoveEmptyEntries);
        return labels.Length >= _labels ? labels : null;
    }

    private string Expand(string template, string value, string key, Func<string, string> quote)
    {
        var text = new StringBuilder(template.Length + value.Length);
        int keyAt = key.LastIndexOf('@');
        int valueAt = value.LastIndexOf('@');
        for (int i = 0; i < template.Length; i++)
        {
            if (template[i] != '%')
            {
                text.Append(template[i]);
                continue;
            }

            char kind = template[++i];
            text.Append(kind switch
            {
                '%' => "%",
                's' => quote(value),
                'u' => quote(valueAt < 0 ? value : value[..valueAt]),
                'd' => quote(value[(valueAt + 1)..]),
                'S' => quote(key),
                'U' => quote(keyAt < 0 ? key : key[..keyAt]),
                'D' => quote(key[(keyAt + 1)..]),
                _ => quote(Labels(key, keyAt)![^(kind - '0')]),
            });
        }

        return text.ToString();
    }
}
